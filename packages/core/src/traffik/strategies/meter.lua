-- The twin of meter.py, which is GCRA, the leaky and the token bucket; only exact operations: see exact.lua.
--
-- Numbers: p and q, where the level drains p a tick and one unit of cost raises it by q; the largest cost; the brim,
-- above which nothing more is admitted; and the µs of a tick.

function makers.meter()
    -- A level counted with `unit` a unit of cost, as one with q: in proportion, rounded up, and at most `top`.
    local function rescaled(level, unit, q, most, top)
        if unit == q then
            return math.min(level, top)
        end
        local whole, part = div(level, unit), math.fmod(level, unit)
        if whole >= most then
            return top
        end
        return whole * q + q - share(unit - part, q, unit)
    end

    -- The level, the tick at which it stands there, and whether it goes on from one far back. That tick is `now`, or later
    -- if the clock has gone back by a full drain at most.
    local function level_at(now, part, tick, p, q, most)
        local unit, time, level = unpacked(part)
        if not unit then
            return 0, now, false
        end
        local top = most * q
        level, time = rescaled(level, unit, q, most, top), div_up(time, tick)
        local elapsed, full = now - time, div_up(top, p)
        if elapsed >= full then
            return 0, now, false
        elseif elapsed >= 0 then
            return math.max(0, level - elapsed * p), now, false
        elseif elapsed >= -full then
            return level, time, false
        end
        return level, now, true
    end

    -- µs until `amount` has drained, which it does from the tick `time` on; it is `late` µs after the tick `now`.
    local function drained_after(amount, p, time, now, tick, late)
        return amount > 0 and (div_up(amount, p) + time - now) * tick - late or 0
    end

    return function(part, cost, now, numbers)
        local p, q, most, brim, tick = unpack(numbers)
        local top, late = most * q, math.fmod(now, tick)
        now = (now - late) / tick
        local level, time, anew = level_at(now, part, tick, p, q, most)
        local raised = level + cost * q
        if raised > brim and (raised > top or level > brim) then
            local wait, reset = NEVER, drained_after(level, p, time, now, tick, late)
            if cost <= most then
                wait = drained_after(math.max(raised - top, level - brim), p, time, now, tick, late)
            end
            local changed = anew and cmsgpack.pack(q, time * tick, level) or nil
            return 0, level <= brim and div(top - level, q) or 0, wait, reset, changed, anew and reset or 0
        end
        local life = drained_after(raised, p, time, now, tick, late)
        return 1, raised <= brim and div(top - raised, q) or 0, 0, life, cmsgpack.pack(q, time * tick, raised), life
    end
end
