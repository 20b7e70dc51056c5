-- The twin of sliding_counter.py. The numbers are limit, period, µs of a tick. Only exact operations: see exact.lua.
--
-- The remaining quota is limit - current - previous·(W - e)/W, rounded down. Python multiplies this by W and needs no
-- division. Here the product can be too large for a state of another period, so `share` divides, with the same result.

function makers.sliding_counter()
    -- The state as in Python, marked by a negative period if a count is above the limit. A previous count of 0 is left
    -- out.
    local function packed(limit, period, start, current, previous)
        if current > limit or previous > limit then
            period = -period
        end
        if previous > 0 then
            return cmsgpack.pack(period, start, current, previous)
        end
        return cmsgpack.pack(period, start, current)
    end

    -- The windows at `now`: start, current, previous, how far the clock has gone back, up to a period, and whether it
    -- has gone back further.
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

    -- Ticks until a refused cost is admitted, if `elapsed` ticks of the window have passed.
    local function wait_for(cost, limit, window, elapsed, previous, current)
        local left = window - elapsed
        if current + cost <= limit then
            return left - share(limit - current - cost, window, previous)
        end
        -- In the next window, where current becomes previous.
        return left + window - share(limit - cost, window, current)
    end

    -- Decide in windows of `period`. Admits up to `most`. A count above `cut` comes from a higher limit, and is cut.
    local function decide_on_own(limit, most, cut, period, tick, cost, now, start, current, previous)
        local late = now % tick
        now = now - late
        local skew, restarted
        start, current, previous, skew, restarted =
            windows_at(now, period, start or now, math.min(current or 0, cut), math.min(previous or 0, cut))
        local window, elapsed = period / tick, div(now + skew - start, tick)
        local life = 2 * period - (now + skew - start) + skew - late
        local left = most - current - previous + share(elapsed, previous, window)
        if cost <= left then
            current = current + cost
        end
        local reset = current > 0 and life or previous > 0 and life - period or 0
        local changed = (cost <= left or restarted) and packed(limit, period, start, current, previous) or nil
        if cost <= left then
            return 1, left - cost, 0, reset, changed, reset
        end
        local wait = NEVER
        if cost <= most then
            wait = wait_for(cost, most, window, elapsed, previous, current) * tick - late + skew
        end
        return 0, math.max(0, left), wait, reset, changed, restarted and reset or 0
    end

    -- Decide on a state of another period: the usage fades in windows of that period until a hit is admitted.
    local function decide_on_other(limit, most, cut, era, period, cost, now, ...)
        local allowed, left, wait, reset, changed, life = decide_on_own(limit, most, cut, era, 1, cost, now, ...)
        if allowed == 0 or cost == 0 then
            return allowed, left, wait, reset, changed, life
        end
        life = 2 * period
        return allowed, left, wait, life, packed(limit, period, now, cost, most - left - cost), life
    end

    -- Decide on any state, up to `most`.
    local function decide(part, cost, now, numbers, most)
        local limit, period, tick = numbers[1], numbers[2], numbers[3]
        local era, start, current, previous = unpacked(part)
        if not era or (era ~= period and current + (previous or 0) == 0) then
            return decide_on_own(limit, most, limit, period, tick, cost, now)
        end
        local own, cut = math.abs(era), era < 0 and 2 * limit or limit
        if own ~= period then
            return decide_on_other(limit, most, cut, own, period, cost, now, start, current, previous)
        end
        return decide_on_own(limit, most, cut, period, tick, cost, now, start, current, previous)
    end

    local function kernel(part, cost, now, numbers)
        return decide(part, cost, now, numbers, numbers[1])
    end

    local function receipt(_, after, numbers)
        local _, start = unpacked(after)
        return { start, numbers[2], numbers[1] }
    end

    -- The units that may be given back to a count whose window began at `begin`.
    local function units_of(count, begin, era, receipt, limit)
        if not receipt then
            return count
        elseif receipt[1] ~= begin or receipt[2] ~= math.abs(era) then
            return 0
        end
        -- It may have been cut since, because the limit was lowered.
        return (limit < receipt[3] and (count == limit or era < 0)) and 0 or count
    end

    local function give_back(part, units, receipt, now, numbers)
        local era, start, current, previous = unpacked(part)
        if not era then
            return nil, 0, 0
        end
        previous = previous or 0
        local limit, period = numbers[1], math.abs(era)
        local passed = div(math.max(0, now - start), period)
        local newer = passed < 2 and math.min(units, units_of(current, start, era, receipt, limit)) or 0
        local older = 0
        if passed < 1 then
            older = math.min(units - newer, units_of(previous, start - period, era, receipt, limit))
        end
        if newer + older == 0 then
            return nil, 0, 0
        end
        current, previous = current - newer, previous - older
        if current == 0 and (previous == 0 or passed > 0) then
            return cmsgpack.pack(1, 0, 0), 0, -newer - older
        end
        -- A part without the mark does not get it.
        local changed = packed(era < 0 and limit or EXACT, period, start, current, previous)
        local _, _, _, reset = kernel(changed, 0, now, numbers)
        return changed, reset, -newer - older
    end

    local function overdraft(part, cost, now, numbers)
        return decide(part, cost, now, numbers, 2 * numbers[1])
    end

    return kernel, receipt, settler(overdraft, give_back)
end
