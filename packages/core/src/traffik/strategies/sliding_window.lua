-- The twin of sliding_window.py. The numbers are limit, period, µs of a cell. Only exact operations: see exact.lua.
--
-- A log is a string: the number of bytes of a count, the period, the count before the first moment, and then moments of
-- a fixed width, oldest first, each with its time and the running count after it. Counts wrap around at a number above
-- any difference of two counts. So nothing is summed up, moments are found by binary search, and a long log is never
-- unpacked.

function makers.sliding_window()
    local read_struct, pack_struct, byte, sub = struct.unpack, struct.pack, string.byte, string.sub

    -- The layouts of logs, by the number of bytes of a count. `most` is the largest limit: counts differ by at most
    -- twice as much.
    local LAYOUTS = {
        [2] = { bytes = 2, most = 32767, round = 65536, head = "<I1I7I2", head_size = 10, moment = "<I7I2", size = 9 },
        [4] = {
            bytes = 4, most = 2147483647, round = 4294967296, head = "<I1I7I4", head_size = 12, moment = "<I7I4", size = 11
        },
        [7] = { bytes = 7, most = NEVER, round = EXACT / 2, head = "<I1I7I7", head_size = 15, moment = "<I7I7", size = 14 },
    }

    -- The narrowest layout for a limit.
    local function layout_for(limit)
        return LAYOUTS[limit <= LAYOUTS[2].most and 2 or limit <= LAYOUTS[4].most and 4 or 7]
    end

    -- The time of the moment at `place` and the count after it.
    local function moment(log, place)
        local layout = log.layout
        return read_struct(layout.moment, log.text, layout.head_size + (place - 1) * layout.size + 1)
    end

    -- The count just before the moment at `place`.
    local function count_before(log, place)
        if place == 1 then
            return log.before
        elseif place > log.length then
            return log.count
        end
        local _, count = moment(log, place - 1)
        return count
    end

    -- The units of the moments from `first` to `last`.
    local function units(log, first, last)
        local round = log.layout.round
        return (count_before(log, last + 1) - count_before(log, first) + round) % round
    end

    -- The log in a stored part; nil if it is not one, since its length is wrong or a number is too large. `last` is the
    -- time of the last moment, and `count` the count after it.
    local function read(part)
        local layout = type(part) == "string" and LAYOUTS[byte(part)]
        local length = layout and #part - layout.head_size or 0
        if length <= 0 or length % layout.size ~= 0 then
            return nil
        end
        local _, era, before = read_struct(layout.head, part)
        local last, count = read_struct(layout.moment, part, #part - layout.size + 1)
        if era == 0 or era >= EXACT or last >= EXACT then
            return nil
        end
        length = length / layout.size
        return { text = part, layout = layout, era = era, before = before, length = length, last = last, count = count }
    end

    -- The unchanged bytes of the moments from `first` to `last`.
    local function bytes_of(log, first, last)
        local layout = log.layout
        return sub(log.text, layout.head_size + (first - 1) * layout.size + 1, layout.head_size + last * layout.size)
    end

    -- A log with one moment, as a string.
    local function alone(layout, era, time, count)
        return pack_struct(layout.head, layout.bytes, era, 0) .. pack_struct(layout.moment, time, count)
    end

    -- The first place from `low` to `high` for which `holds` is true, if it is true for all later ones too.
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

    -- The first moment after `horizon`; one past the end if there is none.
    local function first_later(log, horizon)
        if log.last <= horizon then
            return log.length + 1
        elseif log.length == 1 or moment(log, 1) > horizon then
            return 1
        end
        return first_place(2, log.length, function(place)
            return moment(log, place) > horizon
        end)
    end

    -- The time of the first moment up to which there are at least `excess` units, counted from the moment `first`.
    local function time_of_nth(log, first, excess)
        return (moment(log, first_place(first, log.length, function(place)
            return units(log, first, place) >= excess
        end)))
    end

    -- The moments from `first` to `last`, in a layout with wider counts.
    local function widened(log, first, last, layout)
        local found = {}
        for place = first, last do
            found[#found + 1] = pack_struct(layout.moment, (moment(log, place)), units(log, first, place))
        end
        return table.concat(found)
    end

    -- A log from `first` on, or a new one, with a hit of `cost` at `now` added, as a string.
    local function noted(log, first, now, cost, numbers)
        local limit, period, cell = numbers[1], numbers[2], numbers[3]
        if not log then
            return alone(layout_for(limit), period, now, cost)
        end
        local last, layout = log.length, log.layout
        if now % cell >= now - log.last then
            last = last - 1 -- it replaces the moment in the same cell
        end
        if limit > layout.most then
            local wider = layout_for(limit)
            return pack_struct(wider.head, wider.bytes, period, 0)
                .. widened(log, first, last, wider)
                .. pack_struct(wider.moment, now, (units(log, first, log.length) + cost) % wider.round)
        end
        local added = pack_struct(layout.moment, now, (log.count + cost) % layout.round)
        if first == 1 and log.era == period then
            return sub(log.text, 1, layout.head_size + last * layout.size) .. added -- the head stays
        end
        return pack_struct(layout.head, layout.bytes, period, count_before(log, first))
            .. bytes_of(log, first, last)
            .. added
    end

    -- The moments of a part that count at `now`: the log or nil, the place of the first moment, the units, µs until the
    -- last moment leaves the window, how far the clock has gone back, and the log to write even if the hit is refused.
    local function counting(part, period, now)
        local log = read(part)
        if not log then
            return nil, 1, 0, 0, 0, nil
        end
        local span, last, kept, skew = log.era < period and log.era or period, log.last, nil, 0
        if last > now + span then
            log = read(alone(log.layout, log.era, now, units(log, 1, log.length)))
            kept, last = log, now
        elseif last > now then
            skew, now = last - now, last
        end
        local first = first_later(log, now - span)
        if first > log.length then
            return nil, 1, 0, 0, 0, nil
        end
        local round = log.layout.round
        local used = (log.count - count_before(log, first) + round) % round
        return log, first, used, last + span - now, skew, kept
    end

    -- The kernel, with a limit of `most` units if there is one.
    local function decide(part, cost, now, numbers, most)
        local limit, period = numbers[1], numbers[2]
        local log, first, used, life, skew, kept = counting(part, period, now)
        most, now = most or limit, now + skew
        local left = most - used - cost
        if left >= 0 and cost > 0 then
            life = period + skew
            return 1, left, 0, life, noted(log, first, now, cost, numbers), life
        end
        local wait, reset = NEVER, used > 0 and life + skew or 0
        if left >= 0 then
            return 1, left, 0, reset, read(part) and part or alone(layout_for(limit), period, now, 0), reset
        end
        if cost <= most then
            local span = math.min(log.era, period)
            wait = time_of_nth(log, first, -left) + span - now + skew
        end
        return 0, math.max(0, most - used), wait, reset, kept and kept.text, kept and kept.era or 0
    end

    local function receipt(_, after, numbers)
        return { read(after).last, numbers[3] }
    end

    -- The bytes of a moment, with its count reduced by `taken`.
    local function lessened(log, place, taken)
        local time, count = moment(log, place)
        return pack_struct(log.layout.moment, time, (count - taken + log.layout.round) % log.layout.round)
    end

    -- The settlement whose new state has these moments, given as bytes. Without any, the key is like a new one.
    local function left_with(log, first, bytes, now, applied)
        local layout, era = log.layout, log.era
        if bytes == "" then
            return alone(layout, era, 0, 0), 0, applied
        end
        local text = pack_struct(layout.head, layout.bytes, era, count_before(log, first)) .. bytes
        local last = moment({ text = text, layout = layout }, #bytes / layout.size)
        return text, last + era - now, applied
    end

    -- Remove units from the latest moments.
    local function without_latest(log, first, used, wanted, now)
        local given = math.min(wanted, used)
        if given == 0 then
            return nil, 0, 0
        elseif given == used then
            return left_with(log, first, "", now, -given)
        end
        local place = first_place(first, log.length, function(place)
            return units(log, first, place) >= used - given
        end)
        local taken = units(log, first, place) - (used - given)
        return left_with(log, first, bytes_of(log, first, place - 1) .. lessened(log, place, taken), now, -given)
    end

    -- Remove units from the moment of the hit with this receipt.
    local function without_hit(log, first, wanted, receipt, cell, now)
        local time, cell_then = receipt[1], receipt[2]
        if log.last < time then
            return nil, 0, 0
        end
        local place = first_place(first, log.length, function(place)
            return moment(log, place) >= time
        end)
        local found = moment(log, place)
        local given = math.min(wanted, units(log, place, place))
        local same = div(found, cell) == div(time, cell) and div(found, cell_then) == div(time, cell_then)
        if given == 0 or not same then
            return nil, 0, 0
        end
        local kept = { bytes_of(log, first, place - 1) }
        if given < units(log, place, place) then
            kept[2] = lessened(log, place, given)
        end
        for later = place + 1, log.length do
            kept[#kept + 1] = lessened(log, later, given)
        end
        return left_with(log, first, table.concat(kept), now, -given)
    end

    local function give_back(part, units, receipt, now, numbers)
        local log, first, used = counting(part, numbers[2], now)
        if not log or units == 0 then
            return nil, 0, 0
        elseif receipt then
            return without_hit(log, first, units, receipt, numbers[3], now)
        end
        return without_latest(log, first, used, units, now)
    end

    local function overdraft(part, cost, now, numbers)
        return decide(part, cost, now, numbers, 2 * numbers[1])
    end

    return decide, receipt, settler(overdraft, give_back)
end
