-- The twin of sliding_window.py; numbers: limit, period, µs of a cell. Only exact operations: see exact.lua.
--
-- A window is text: the bytes of a count, a count of what had been admitted before the first moment, then moments of a
-- fixed width, oldest first, each with its time and the count after it. Counts go round, at a number above which no
-- difference of two can be. So nothing is summed up, every question is a search by halves, and a log of thousands of
-- moments is never taken apart.

function makers.sliding_window()
    -- How counts are written: in two bytes where the limit allows it.
    local NARROW = { code = "\2", count = "<I2", moment = "<I7I2", head = 3, width = 9, round = 65536 }
    local WIDE = { code = "\7", count = "<I7", moment = "<I7I7", head = 8, width = 14, round = EXACT / 2 }
    local NARROWEST = 32768

    local function empty(form)
        return form.code .. struct.pack(form.count, 0)
    end

    local function moment(log, form, place)
        return struct.unpack(form.moment, log, form.head + (place - 1) * form.width + 1)
    end

    local function size(log, form)
        return (#log - form.head) / form.width
    end

    -- The count just before the moment at `place`.
    local function count_before(log, form, place)
        if place == 1 then
            return (struct.unpack(form.count, log, 2))
        end
        local _, count = moment(log, form, place - 1)
        return count
    end

    -- How much the moments from `first` to `last` come to.
    local function cost_of(log, form, first, last)
        local difference = count_before(log, form, last + 1) - count_before(log, form, first)
        return math.fmod(difference + form.round, form.round)
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

    -- The first moment later than `horizon`; one past the end if there is none.
    local function first_later(log, form, horizon)
        local past_end = size(log, form) + 1
        if past_end == 1 or moment(log, form, 1) > horizon then
            return 1
        elseif moment(log, form, past_end - 1) <= horizon then
            return past_end
        end
        return first_place(2, past_end - 1, function(place)
            return moment(log, form, place) > horizon
        end)
    end

    -- The time of the moment with which, from the oldest on, at least `excess` will have left.
    local function time_of_nth(log, form, first, excess)
        return (moment(log, form, first_place(first, size(log, form), function(place)
            return cost_of(log, form, first, place) >= excess
        end)))
    end

    -- The window as stored, and how its counts are written; an empty one for anything else.
    local function read(part, wanted)
        local form = type(part) == "string" and (part:sub(1, 1) == WIDE.code and WIDE or NARROW) or wanted
        local whole = type(part) == "string"
            and part:sub(1, 1) == form.code
            and #part >= form.head + form.width
            and math.fmod(#part - form.head, form.width) == 0
        if whole and moment(part, form, size(part, form)) < EXACT and count_before(part, form, 1) < form.round then
            return part, form
        end
        return empty(wanted), wanted
    end

    -- A window with narrow counts, written with wide ones.
    local function widened(log)
        local moments = { empty(WIDE) }
        for place = 1, size(log, NARROW) do
            local time = moment(log, NARROW, place)
            moments[place + 1] = struct.pack(WIDE.moment, time, cost_of(log, NARROW, 1, place))
        end
        return table.concat(moments)
    end

    -- The window from `first` on with a hit behind it.
    local function noted(log, form, first, time, cost, grid)
        local last = size(log, form)
        local count = math.fmod(count_before(log, form, last + 1) + cost, form.round)
        local added = struct.pack(form.moment, time, count)
        if last >= first and div(moment(log, form, last), grid) == div(time, grid) then
            last = last - 1 -- It takes the place of the moment in the same cell.
        end
        local kept = log:sub(form.head + (first - 1) * form.width + 1, form.head + last * form.width)
        return form.code .. struct.pack(form.count, count_before(log, form, first)) .. kept .. added
    end

    return function(part, cost, now, numbers)
        local limit, period, grid = numbers[1], numbers[2], numbers[3]
        local wanted = limit < NARROWEST and NARROW or WIDE
        local log, form = read(part, wanted)
        if form == NARROW and wanted == WIDE then
            log, form = widened(log), WIDE
        end
        local skew, anew = 0, false
        local last = size(log, form) > 0 and moment(log, form, size(log, form)) or now
        if last > now + period then
            log, anew = noted(empty(form), form, 1, now, cost_of(log, form, 1, size(log, form)), 1), true
            last = now
        elseif last > now then
            skew, now = last - now, last
        end
        local first = first_later(log, form, now - period)
        local length = size(log, form)
        local used, life = cost_of(log, form, first, length), period + skew
        local reset = first <= length and last - now + life or 0
        if used + cost <= limit then
            local changed = noted(log, form, first, now, cost, grid)
            return 1, limit - used - cost, 0, cost > 0 and life or reset, changed, life
        end
        local wait = NEVER
        if cost <= limit then
            wait = time_of_nth(log, form, first, used + cost - limit) - now + life
        end
        return 0, math.max(0, limit - used), wait, reset, anew and log or nil, anew and period or 0
    end
end

makers.sliding_log = makers.sliding_window
