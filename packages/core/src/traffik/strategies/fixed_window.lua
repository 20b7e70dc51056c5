-- The twin of fixed_window.py. The numbers are limit, period. Only exact operations: see exact.lua.

function makers.fixed_window()
    -- The window of `part` at `now`: era, start, used, µs until its end, and whether it has been moved back to `now`.
    local function window_at(now, part, period)
        local era, start, used = unpacked(part)
        local left = era and start + era - now or 0
        if left <= 0 then
            return period, now, 0, period, false
        elseif left > 2 * era then
            return era, now, used, era, true
        end
        return era, start, used, left, false
    end

    local function decide(part, cost, now, limit, period)
        local era, start, used, left, restarted = window_at(now, part, period)
        local total = used + cost
        if total > limit then
            local changed = restarted and cmsgpack.pack(era, start, used) or nil
            local wait, reset = cost <= limit and left or NEVER, used > 0 and left or 0
            return 0, math.max(0, limit - used), wait, reset, changed, restarted and left or 0
        end
        if era ~= period then
            -- Earlier hits may be as late as now, but must not count longer than in the old window.
            start = period > era and start or math.min(now, start + era - period)
            left = start + period - now
        end
        local life = total > 0 and left or 0
        return 1, limit - total, 0, life, cmsgpack.pack(period, start, total), life
    end

    local function kernel(part, cost, now, numbers)
        return decide(part, cost, now, numbers[1], numbers[2])
    end

    local function receipt(_, after)
        local _, start = unpacked(after)
        return { start }
    end

    local function give_back(part, units, receipt, now)
        local era, start, used = unpacked(part)
        if not era or (receipt and receipt[1] ~= start) then
            return nil, 0, 0
        end
        local left = start + era - now
        if left > 2 * era then
            start, left = now, era
        end
        local given = left > 0 and math.min(units, used) or 0
        if given == 0 then
            return nil, 0, 0
        elseif given == used then
            return cmsgpack.pack(1, 0, 0), 0, -given
        end
        return cmsgpack.pack(era, start, used - given), left, -given
    end

    local function overdraft(part, cost, now, numbers)
        return decide(part, cost, now, 2 * numbers[1], numbers[2])
    end

    return kernel, receipt, settler(overdraft, give_back)
end
