-- The twin of calendar_window.py. The numbers are the limit, the longest period of the unit, and the times at which the
-- windows around now begin, each of which ends where the next one begins.
--
-- A part is period, start, count, and the end of the window. A former rate has no windows in its numbers: it counts in
-- that of its part.

function makers.calendar_window()
    -- The window around `time`: its start and its end. Those after the last one known are as long as the longest.
    local function window_at(time, numbers)
        local place, last = 3, numbers[#numbers]
        if time >= last then
            local start = time - (time - last) % numbers[2]
            return start, start + numbers[2]
        end
        while numbers[place + 1] <= time do
            place = place + 1
        end
        return numbers[place], numbers[place + 1]
    end

    -- The start of the window, the units used in it, and its end.
    local function counting(part, now, numbers)
        local period, era, start, used, ends = numbers[2], unpacked(part)
        if not numbers[3] then
            return start or now, era and now < ends and used or 0, ends or now
        end
        local from, to = window_at(now, numbers)
        if not era then
            return from, 0, to
        elseif from <= start and start <= now then
            return from, used, to
        elseif start > now and start - now <= period then -- The clock has gone back: the later window goes on.
            from, to = window_at(start, numbers)
            return from, used, to
        elseif start > now or (era ~= period and now - start < era) then
            return from, used, to
        end
        return from, 0, to
    end

    -- Decide with a limit of `most` units.
    local function decide(part, cost, now, numbers, most)
        local start, used, ends = counting(part, now, numbers)
        local total, left = used + cost, ends - now
        if total > most then
            local wait, reset = cost <= most and left or NEVER, used > 0 and left or 0
            local _, began = unpacked(part)
            local restarted = began and numbers[3] and began - now > numbers[2]
            local changed = restarted and cmsgpack.pack(numbers[2], start, used, ends) or nil
            return 0, math.max(0, most - used), wait, reset, changed, changed and left or 0
        end
        local life = total > 0 and left or 0
        return 1, most - total, 0, life, cmsgpack.pack(numbers[2], start, total, ends), life
    end

    local function kernel(part, cost, now, numbers)
        return decide(part, cost, now, numbers, numbers[1])
    end

    local function receipt(_, after)
        local _, start = unpacked(after)
        return { start }
    end

    local function give_back(part, units, receipt, now, numbers)
        local era, began = unpacked(part)
        if not era or (receipt and receipt[1] ~= began) then
            return nil, 0, 0
        end
        local start, used, ends = counting(part, now, numbers)
        local given = math.min(units, used)
        if given == 0 then
            return nil, 0, 0
        end
        return cmsgpack.pack(numbers[2], start, used - given, ends), ends - now, -given
    end

    local function overdraft(part, cost, now, numbers)
        return decide(part, cost, now, numbers, 2 * numbers[1])
    end

    return kernel, receipt, settler(overdraft, give_back)
end
