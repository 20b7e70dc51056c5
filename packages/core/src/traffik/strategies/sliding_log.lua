-- The twin of sliding_log.py; numbers: limit, period. Only exact operations: see exact.lua.
--
-- A log is text: a count of what had been admitted before its first entry, then entries of a fixed width, oldest first,
-- each with its time and the count after it. Counts go round at 2^16, above which no difference of two can be. So nothing
-- need be summed up, every question is a search by halves, and a log of thousands of entries is never taken apart.

function makers.sliding_log()
    local COUNT, ENTRY = "<I2", "<I7I2"
    local HEAD, WIDTH, ROUND = 2, 9, 65536

    local EMPTY = struct.pack(COUNT, 0)

    local function entry(log, place)
        return struct.unpack(ENTRY, log, HEAD + (place - 1) * WIDTH + 1)
    end

    local function size(log)
        return (#log - HEAD) / WIDTH
    end

    -- The count just before the entry at `place`.
    local function count_before(log, place)
        if place == 1 then
            return (struct.unpack(COUNT, log))
        end
        local _, count = entry(log, place - 1)
        return count
    end

    -- How much the entries from `first` to `last` come to.
    local function cost_of(log, first, last)
        return math.fmod(count_before(log, last + 1) - count_before(log, first) + ROUND, ROUND)
    end

    -- The first place from `low` to `high` of which `holds` is true, as it then is of all later ones.
    local function first_place(low, high, holds)
        while low < high do
            local middle = div(low + high, 2)
            if holds(middle) then
                high = middle
            else
                low = middle + 1
            end
        end
        return low
    end

    -- The first entry later than `horizon`; one past the end if there is none.
    local function first_later(log, horizon)
        local past_end = size(log) + 1
        if past_end == 1 or entry(log, 1) > horizon then
            return 1
        elseif entry(log, past_end - 1) <= horizon then
            return past_end
        end
        return first_place(2, past_end - 1, function(place)
            return entry(log, place) > horizon
        end)
    end

    -- The time of the entry with which, from the oldest on, at least `excess` will have left.
    local function time_of_nth(log, first, excess)
        return (entry(log, first_place(first, size(log), function(place)
            return cost_of(log, first, place) >= excess
        end)))
    end

    -- The log as stored; an empty one for anything that is none: of another length, or at a time beyond all clocks.
    local function read(part)
        if type(part) ~= "string" or #part < HEAD + WIDTH or math.fmod(#part - HEAD, WIDTH) ~= 0 then
            return EMPTY
        end
        return entry(part, size(part)) < EXACT and part or EMPTY
    end

    -- The log from `first` on with a hit behind it.
    local function noted(log, first, time, cost)
        local last = size(log)
        local count = struct.pack(ENTRY, time, math.fmod(count_before(log, last + 1) + cost, ROUND))
        if last >= first and entry(log, last) == time then
            last = last - 1 -- It takes the place of one at the same time.
        end
        local kept = log:sub(HEAD + (first - 1) * WIDTH + 1, HEAD + last * WIDTH)
        return struct.pack(COUNT, count_before(log, first)) .. kept .. count
    end

    return function(part, cost, now, numbers)
        local limit, period = numbers[1], numbers[2]
        local log, skew, anew = read(part), 0, false
        local last = size(log) > 0 and entry(log, size(log)) or now
        if last > now + period then
            log, anew = noted(EMPTY, 1, now, cost_of(log, 1, size(log))), true
            last = now
        elseif last > now then
            skew, now = last - now, last
        end
        local first = first_later(log, now - period)
        local length = size(log)
        local used, life = cost_of(log, first, length), period + skew
        if used + cost <= limit then
            local reset = used + cost > 0 and life or 0
            return 1, limit - used - cost, 0, reset, noted(log, first, now, cost), life
        end
        local wait = NEVER
        if cost <= limit then
            wait = time_of_nth(log, first, used + cost - limit) - now + life
        end
        local reset = first <= length and last - now + life or 0
        return 0, math.max(0, limit - used), wait, reset, anew and log or nil, anew and period or 0
    end
end
