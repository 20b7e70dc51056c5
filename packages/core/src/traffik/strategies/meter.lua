-- The twin of meter.py: GCRA, leaky bucket and token bucket. Only exact operations: see exact.lua.
--
-- The numbers are p and q (the level drains by p in each tick, and one unit of cost raises it by q), the largest cost,
-- the brim (the level above which nothing is admitted), the µs of a tick, and the most units used in any case.

function makers.meter()
    -- A level in which a unit of cost was `unit`, converted to q: in proportion, rounded up, and at most `top`.
    local function rescaled(level, unit, q, most, top)
        if unit == q then
            return math.min(level, top)
        end
        local whole, part = div(level, unit), level % unit
        if whole >= most then
            return top
        end
        return whole * q + q - share(unit - part, q, unit)
    end

    -- The level, its tick, and whether it has been moved back to `now`, since the clock has gone far back. The tick is
    -- `now`, or later if the clock has gone back by at most a full drain.
    local function level_at(now, part, numbers)
        local p, q, most, _, tick, utmost = unpack(numbers)
        local unit, time, level = unpacked(part)
        if not unit then
            return 0, now, false
        end
        local bound = unit < 0 and utmost or most
        level, time = rescaled(level, math.abs(unit), q, bound, bound * q), div_up(time, tick)
        local elapsed = now - time
        if elapsed >= 0 then
            return elapsed < div_up(level, p) and level - elapsed * p or 0, now, false
        elseif elapsed >= -div_up(most * q, p) then
            return level, time, false
        end
        return level, now, true
    end

    -- A part, marked by a negative q if the level is above `cap`, the capacity.
    local function packed(cap, q, time, level)
        return cmsgpack.pack(level <= cap and q or -q, time, level)
    end

    -- µs until `amount` has drained, from the tick `time` on. The current time is `late` µs after the tick `now`.
    local function drained_after(amount, p, time, now, tick, late)
        return amount > 0 and (div_up(amount, p) + time - now) * tick - late or 0
    end

    -- Decide with a capacity of `most` units. Nothing is admitted while the level is above `brim`.
    local function decide(part, cost, now, numbers, most, brim)
        local p, q, capacity, _, tick = unpack(numbers)
        local cap, top, late = capacity * q, most * q, now % tick
        now = (now - late) / tick
        local level, time, restarted = level_at(now, part, numbers)
        local raised = level + cost * q
        if raised > brim and (raised > top or level > brim) then
            local wait, reset = NEVER, drained_after(level, p, time, now, tick, late)
            if cost <= most then
                wait = drained_after(math.max(raised - top, level - brim), p, time, now, tick, late)
            end
            local changed = restarted and packed(cap, q, time * tick, level) or nil
            return 0, level <= brim and div(top - level, q) or 0, wait, reset, changed, restarted and reset or 0
        end
        local life = drained_after(raised, p, time, now, tick, late)
        local remaining = raised <= brim and div(top - raised, q) or 0
        return 1, remaining, 0, life, packed(cap, q, time * tick, raised), life
    end

    local function kernel(part, cost, now, numbers)
        return decide(part, cost, now, numbers, numbers[3], numbers[4])
    end

    local function receipt(_, after, numbers)
        local _, time = unpacked(after)
        return { time, numbers[2], numbers[1] + numbers[3] * numbers[2] }
    end

    -- How far the level falls if units are given back at its own time, without those of the hit that have drained.
    local function drop_of(units, time, level, size, receipt, numbers)
        if not receipt or receipt[1] == time then
            return math.min(units, div(level, size) + 1) * size
        end
        local p, q, most, _, tick, utmost = unpack(numbers)
        if time < receipt[1] or size ~= q or receipt[2] ~= q or receipt[3] ~= p + most * q then
            return 0
        end
        local drop, elapsed = math.min(units, utmost) * q, div(time - receipt[1], tick)
        return elapsed < div_up(drop, p) and drop - elapsed * p or 0
    end

    -- A part after giving units back; nil if there are none to give back.
    local function lowered(part, units, receipt, numbers)
        local unit, time, level = unpacked(part)
        if not unit then
            return nil
        end
        local size, q = math.abs(unit), numbers[2]
        local drop = drop_of(units, time, level, size, receipt, numbers)
        if drop <= 0 then
            return nil
        elseif drop >= level then
            return cmsgpack.pack(q, 0, 0)
        end
        -- A part without the mark does not get it.
        return packed(unit < 0 and numbers[3] * size or EXACT, size, time, level - drop)
    end

    local function give_back(part, units, receipt, now, numbers)
        local changed = lowered(part, units, receipt, numbers)
        if not changed then
            return nil, 0, 0
        end
        local p, q, most, _, tick = unpack(numbers)
        local late = now % tick
        now = (now - late) / tick
        local before = level_at(now, part, numbers)
        local level, time, restarted = level_at(now, changed, numbers)
        local given = math.min(units, div_up(before - level, q))
        if given == 0 then
            return nil, 0, 0
        elseif restarted then
            changed = packed(most * q, q, time * tick, level)
        end
        return changed, drained_after(level, p, time, now, tick, late), -given
    end

    local function overdraft(part, cost, now, numbers)
        return decide(part, cost, now, numbers, numbers[6], numbers[6] * numbers[2])
    end

    return kernel, receipt, settler(overdraft, give_back)
end
