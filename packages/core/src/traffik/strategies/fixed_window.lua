-- The twin of fixed_window.py; numbers: limit, period. Only exact operations: see exact.lua.

function makers.fixed_window()
    -- The window that `part` says is open at `now`: era, start, used, what is left of it, and whether it opens anew.
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

    return function(part, cost, now, numbers)
        local limit, period = numbers[1], numbers[2]
        local era, start, used, left, anew = window_at(now, part, period)
        local total = used + cost
        if total > limit then
            local changed = anew and cmsgpack.pack(era, start, used) or nil
            local wait, reset = cost <= limit and left or NEVER, used > 0 and left or 0
            return 0, math.max(0, limit - used), wait, reset, changed, anew and left or 0
        end
        if era ~= period then
            -- The hits so far may be as late as now, yet count no longer than the old window would have.
            start = period > era and start or math.min(now, start + era - period)
            left = start + period - now
        end
        return 1, limit - total, 0, total > 0 and left or 0, cmsgpack.pack(period, start, total), left
    end
end
