-- The twin of meter.py, which is GCRA, the leaky and the token bucket; only exact operations: see exact.lua.
--
-- Numbers: p and q, where the level drains p a tick and one unit of cost raises it by q; the largest cost; the brim,
-- above which nothing more is admitted; and the µs of a tick.

do
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

    -- The level at `now`, and how far the clock has gone back: by a full drain at most, or far, which is then said last.
    local function level_at(now, part, tick, p, q, most)
        local unit, time, level = unpacked(part)
        if not unit then
            return 0, 0, false
        end
        local top = most * q
        level = rescaled(level, unit, q, most, top)
        local elapsed, full = now - div_up(time, tick), div_up(top, p)
        if elapsed >= full then
            return 0, 0, false
        elseif elapsed >= 0 then
            return math.max(0, level - elapsed * p), 0, false
        elseif elapsed >= -full then
            return level, -elapsed, false
        end
        return level, 0, true
    end

    function kernels.meter(part, cost, now, numbers)
        local p, q, most, brim, tick = unpack(numbers)
        local top, late = most * q, math.fmod(now, tick)
        now = (now - late) / tick
        local level, skew, anew = level_at(now, part, tick, p, q, most)
        local written = (now + skew) * tick

        local function micros_to_drain(amount)
            return amount > 0 and (div_up(amount, p) + skew) * tick - late or 0
        end

        local raised = level + cost * q
        if raised > brim and (raised > top or level > brim) then
            local need = math.max(raised - top, level - brim)
            local wait = cost <= most and micros_to_drain(need) or NEVER
            local left, reset = level <= brim and div(top - level, q) or 0, micros_to_drain(level)
            return 0, left, wait, reset, anew and cmsgpack.pack(q, written, level) or nil, anew and reset or 0
        end
        local life = micros_to_drain(raised)
        return 1, raised <= brim and div(top - raised, q) or 0, 0, life, cmsgpack.pack(q, written, raised), life
    end
end
