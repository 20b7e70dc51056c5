-- The twin of turns.py: rates that take turns. Only exact operations: see exact.lua.
--
-- `former` has the rates that counted before: each {rate, until, part}; nil if there are none.
--
-- A rate is written as text, with commas: a letter for its kernel followed by its period, and the numbers without the
-- windows of the calendar. Several have semicolons between them.

local function ask(rate, part, cost, now)
    return kernels[rate[1]](part or nil, cost, now, rate[2])
end

-- turns.turn, turns.adopt and turns.charge, made when they are needed.
local turns = setmetatable({}, {
    __index = function(made, name)
        local KERNELS =
            { w = "sliding_window", c = "sliding_counter", f = "fixed_window", m = "meter", k = "calendar_window" }
        local MOST = 16 -- former rates; those that counted last are kept

        -- The period in the text of a rate, with the letter of its kernel.
        local function period_in(text)
            return text:match("^[^,]*")
        end

        -- The rate in a text; nil if it has no kernel here.
        local function rate_in(text)
            local name, numbers = KERNELS[text:sub(1, 1)], {}
            for number in text:gmatch(",(%d+)") do
                numbers[#numbers + 1] = tonumber(number)
            end
            return name and { name, numbers }
        end

        local function is_calendar(period)
            return period:sub(1, 1) == "k"
        end

        -- The place of the first entry whose period is equal, or of the same kind, if there is any that is free.
        local function place_of(period, entries, free, alike)
            for place, entry in ipairs(entries) do
                local other = period_in(entry[1])
                if free[place] and (other == period or alike and is_calendar(other) == is_calendar(period)) then
                    return place
                end
            end
        end

        -- The part from which each of the rates in a text goes on, or false; and the entries that are of no rate in it.
        local function match_rates(text, entries)
            local wanted, places, parts, free, all, left = {}, {}, {}, {}, {}, {}
            for place in ipairs(entries) do
                free[place], all[place] = true, true
            end
            for each in text:gmatch("[^;]+") do
                local place = place_of(period_in(each), entries, free)
                wanted[#wanted + 1] = period_in(each)
                places[#wanted] = place or false
                free[place or 0] = false
            end
            for place, entry in ipairs(entries) do
                if free[place] then
                    left[#left + 1] = entry
                end
            end
            for at, period in ipairs(wanted) do
                if not places[at] then
                    places[at] = place_of(period, entries, free, true) or place_of(period, entries, all, true) or 0
                    free[places[at]] = false
                end
                parts[at] = places[at] > 0 and entries[places[at]][3]
            end
            return parts, left
        end

        -- The parts for the rates in a text, from parts that were counted by those in another one.
        function made.turn(text, parts, before)
            local entries, place = {}, 0
            for each in before:gmatch("[^;]+") do
                place = place + 1
                entries[place] = { each, EXACT, parts[place] or false }
            end
            for _, entry in ipairs(parts.former or {}) do
                entries[#entries + 1] = entry
            end
            local found, left = match_rates(text, entries)
            found.former = #left > 0 and left or nil
            return found
        end

        -- The parts for the rates in a text: for those of its kind the only part of another plan.
        function made.adopt(text, part, calendar)
            local parts = {}
            for each in text:gmatch("[^;]+") do
                parts[#parts + 1] = is_calendar(each) == calendar and part
            end
            return parts
        end

        -- The former rates after a charge, nil if none are left, and the µs for which they are kept.
        function made.charge(former, cost, now)
            local kept, longest = {}, 0
            for _, entry in ipairs(former or {}) do
                local rate, part = rate_in(entry[1]), entry[3] or nil
                if rate and #kept < MOST then
                    local _, remaining, _, reset_after, _, life = ask(rate, part, 0, now)
                    -- The clock may have gone back.
                    local ends = math.min(entry[2], now + math.max(reset_after, life))
                    local units = math.min(cost, remaining)
                    if ends > now and units > 0 then
                        local _, _, _, _, changed = ask(rate, part, units, now)
                        part = changed or part
                    end
                    if ends > now then
                        kept[#kept + 1] = { entry[1], ends, part }
                        longest = math.max(longest, ends - now)
                    end
                end
            end
            return #kept > 0 and kept or nil, longest
        end

        return rawget(made, name)
    end,
})
