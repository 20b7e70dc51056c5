-- The twin of sliding_counter.py; numbers: limit, period, µs of a tick. Only exact operations: see exact.lua.
--
-- What is left is limit - current - previous·(W - e)/W, rounded down. Python multiplies that by W and needs no division;
-- for a state of another period the product can be too large here, so `share` divides, and it comes to the same.

function makers.sliding_counter()
    -- The state as Python has it; a previous count of 0 is left out.
    local function packed(period, start, current, previous)
        if previous > 0 then
            return cmsgpack.pack(period, start, current, previous)
        end
        return cmsgpack.pack(period, start, current)
    end

    -- The windows at `now`: start, current, previous, and how far the clock has gone back: by a period at most, or far,
    -- which is then said last.
    local function windows_at(now, period, start, current, previous)
        local elapsed = now - start
        if elapsed >= 2 * period then
            return now, 0, 0, 0, false
        elseif elapsed >= period then
            return start + period, 0, current, 0, false
        elseif elapsed < -period then
            return now, current, previous, 0, true
        end
        return start, current, previous, math.max(0, -elapsed), false
    end

    -- Ticks until a refused cost is admitted, `elapsed` of those of the window having passed.
    local function wait_for(cost, limit, window, elapsed, previous, current)
        local left = window - elapsed
        if current + cost <= limit then
            return left - share(limit - current - cost, window, previous)
        end
        -- In the next window, where current takes the place of previous.
        return left + window - share(limit - cost, window, current)
    end

    -- Decide on a state of this period, or on none.
    local function decide_on_own(limit, period, tick, cost, now, start, current, previous)
        local late = math.fmod(now, tick)
        now = now - late
        local skew, anew
        start, current, previous, skew, anew =
            windows_at(now, period, start or now, math.min(current or 0, limit), math.min(previous or 0, limit))
        local window, elapsed = period / tick, div(now + skew - start, tick)
        local life = 2 * period - (now + skew - start) + skew - late
        local left = limit - current - previous + share(elapsed, previous, window)
        if cost <= left then
            current = current + cost
        end
        local reset = current > 0 and life or previous > 0 and life - period or 0
        local changed = (cost <= left or anew) and packed(period, start, current, previous) or nil
        if cost <= left then
            return 1, left - cost, 0, reset, changed, life
        end
        local wait = NEVER
        if cost <= limit then
            wait = wait_for(cost, limit, window, elapsed, previous, current) * tick - late + skew
        end
        return 0, math.max(0, left), wait, reset, changed, anew and life or 0
    end

    -- Decide on a state of another period: what is used fades in its own windows, until a hit is admitted.
    local function decide_on_other(era, limit, period, cost, now, ...)
        local allowed, left, wait, reset, changed, life = decide_on_own(limit, era, 1, cost, now, ...)
        if allowed == 0 or cost == 0 then
            return allowed, left, wait, reset, changed, life
        end
        life = 2 * period
        return allowed, left, wait, life, packed(period, now, cost, limit - left - cost), life
    end

    return function(part, cost, now, numbers)
        local limit, period, tick = numbers[1], numbers[2], numbers[3]
        local era, start, current, previous = unpacked(part)
        if era and era ~= period then
            return decide_on_other(era, limit, period, cost, now, start, current, previous)
        end
        return decide_on_own(limit, period, tick, cost, now, start, current, previous)
    end
end
