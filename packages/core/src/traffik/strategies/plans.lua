-- The twin of plans.py and turns.py: several rates as one decision, all or nothing, and rates that take turns. Only exact
-- operations: see exact.lua.
--
-- `rates` is an array of {name, numbers}, the twins of a plan. `parts` is an array with the stored state of each rate, or
-- false for none. Its field `former` has the rates that counted before: each {rate, until, part}; nil if there are none.
--
-- A rate is also written as text, with commas: a letter for its kernel followed by its period, and the numbers without
-- the windows of the calendar. Several have semicolons between them.

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

-- The place of the first entry whose period is equal, or of the same kind, if there is any; only of those that are free.
local function place_of(period, entries, free, alike)
    for place, entry in ipairs(entries) do
        local other = period_in(entry[1])
        if free[place] and (other == period or alike and is_calendar(other) == is_calendar(period)) then
            return place
        end
    end
end

-- The part that each of the rates in a text goes on from, or false; and the entries that no rate has as its own.
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
local function turn(text, parts, before)
    if before == text then
        return parts
    end
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
local function adopt(text, part, calendar)
    local parts = {}
    for each in text:gmatch("[^;]+") do
        parts[#parts + 1] = is_calendar(each) == calendar and part
    end
    return parts
end

local function ask(rate, part, cost, now)
    return kernels[rate[1]](part or nil, cost, now, rate[2])
end

-- The former rates after a charge, nil if none are left, and the µs for which they are kept.
local function charge_former(former, cost, now)
    local kept, longest = {}, 0
    for _, entry in ipairs(former or {}) do
        local rate, part = rate_in(entry[1]), entry[3] or nil
        if rate and #kept < MOST then
            local _, remaining, _, reset_after = ask(rate, part, 0, now)
            local ends, units = math.min(entry[2], now + reset_after), math.min(cost, remaining) -- it may have gone back
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

-- The refusal by several rates of which at least one refuses: the one with the longest wait, and the parts after it.
local function refuse_together(parts, rates, cost, now)
    local after, any, least, longest = {}, false, NEVER, 0
    local binding, binding_wait, binding_reset = nil, -1, 0
    for place, rate in ipairs(rates) do
        after[place] = parts[place] or false
        local allowed, remaining, retry_after, reset_after, changed, ttl = ask(rate, after[place], cost, now)
        -- The rates that would have admitted the cost have not been charged.
        least = math.min(least, remaining + allowed * cost)
        longest = math.max(longest, ttl > 0 and ttl or reset_after)
        if allowed == 0 and retry_after > binding_wait then
            binding, binding_wait, binding_reset = place, retry_after, reset_after
        end
        if allowed == 0 and changed then
            after[place], any = changed, true -- the clock has gone far back, so the part continues from here
        end
    end
    if any then
        local kept, life = charge_former(parts.former, 0, now)
        after.former, longest = kept, math.max(longest, life)
    end
    return 0, least, binding_wait, binding_reset, binding, any and after or nil, any and longest or 0
end

-- Decide for several rates, or for one rate if there are former ones.
local function decide_together(parts, rates, cost, now)
    local news, binding, least, reset, longest = {}, 1, nil, 0, 0
    for place, rate in ipairs(rates) do
        local allowed, remaining, _, reset_after, changed, ttl =
            kernels[rate[1]](parts[place] or nil, cost, now, rate[2])
        if allowed == 0 then
            return refuse_together(parts, rates, cost, now)
        end
        news[place] = changed or false
        if not least or remaining < least then
            binding, least, reset = place, remaining, reset_after
        end
        if ttl > longest then
            longest = ttl
        end
    end
    if parts.former then
        local kept, life = charge_former(parts.former, cost, now)
        news.former, longest = kept, math.max(longest, life)
    end
    return 1, least, 0, reset, binding, news, longest
end

-- Decide on one charge. Returns allowed (1 or 0), remaining, retry_after, reset_after, the place of the binding rate,
-- the new parts or nil to keep the stored ones, and the ttl of the new ones in µs.
local function decide(parts, rates, cost, now)
    if #rates == 1 and not parts.former then
        local allowed, remaining, retry_after, reset_after, changed, ttl = ask(rates[1], parts[1], cost, now)
        return allowed, remaining, retry_after, reset_after, 1, changed and { changed } or nil, ttl
    end
    return decide_together(parts, rates, cost, now)
end

-- The remaining quota and the wait for one more unit. Changes nothing. Returns the same as `decide`, up to the binding
-- rate.
local function probe(parts, rates, now)
    local allowed, remaining, retry_after, reset_after, binding = decide(parts, rates, 0, now)
    if remaining <= 0 then
        local _, _, wait = decide(parts, rates, 1, now)
        retry_after = wait
    end
    return allowed, remaining, retry_after, reset_after, binding
end

-- The receipts of a hit that changed the parts from `before` to `after`, an array for each rate.
local function receipts_of(before, after, rates)
    local found = {}
    for place, rate in ipairs(rates) do
        found[place] = receipts[rate[1]](before[place] or nil, after[place], rate[2])
    end
    return found
end

-- Settle one rate by its own receipt. If the hit was not counted by this rate, there is nothing to give back.
local function settle_place(place, rate, part, delta, given, now)
    local receipt = given and given[place]
    if given and delta <= 0 and not (receipt and receipt[1]) then
        return nil, 0, 0
    end
    return settlers[rate[1]](part or nil, delta, receipt, now, rate[2])
end

-- Settle each rate by itself. Former rates are charged, but given nothing back. Returns the new parts or nil, their ttl,
-- and the least units applied.
local function settle_parts(parts, rates, delta, given, now)
    local left, ttl, least, any = {}, 0, nil, false
    for place, rate in ipairs(rates) do
        local part = parts[place] or false
        local changed, life, applied = settle_place(place, rate, part, delta, given, now)
        if not changed then
            local _, _, _, reset_after = ask(rate, part, 0, now)
            life = reset_after
        end
        least = (not least or math.abs(applied) < math.abs(least)) and applied or least
        left[place], any, ttl = changed or part, any or changed, math.max(ttl, life)
    end
    if not any then
        return nil, 0, least
    end
    local kept, life = charge_former(parts.former, math.max(delta, 0), now)
    left.former = kept
    return left, math.max(ttl, life), least
end

-- Give units back (`delta` below 0) or charge them in any case, by the receipts of a hit or, if nil, the units taken
-- last. Returns remaining, retry_after, reset_after and the place of the binding rate, all after settling, the new
-- parts or nil to keep the stored ones, the ttl of the new ones in µs, and the units applied.
local function settle(parts, rates, delta, given, now)
    local changed, ttl, applied = settle_parts(parts, rates, delta, given, now)
    local _, remaining, retry_after, reset_after, binding = probe(changed or parts, rates, now)
    return remaining, retry_after, reset_after, binding, changed, ttl, applied
end

-- Take `cost` units, or as many as remain. Returns the same as `decide`, and the units taken.
local function take_up_to(parts, rates, cost, now)
    local _, left = decide(parts, rates, 0, now)
    local units = math.min(cost, math.max(1, left))
    local allowed, remaining, retry_after, reset_after, binding, changed, ttl = decide(parts, rates, units, now)
    return allowed, remaining, retry_after, reset_after, binding, changed, ttl, units * allowed
end

-- µs from `now` until each of the costs, one after the other, is admitted; NEVER for a cost that is not admitted before
-- the year 2255.
local function earliest(parts, rates, costs, now)
    local waits, time = {}, now
    for place, cost in ipairs(costs) do
        local later, moment, allowed, wait = parts, time, nil, nil
        repeat
            local answer = { decide(later, rates, cost, moment) }
            local changed = answer[6]
            allowed, wait = answer[1], answer[3]
            later, moment = changed or later, moment + wait
        until allowed == 1 or moment >= EXACT
        if allowed == 1 then
            parts, time = later, moment
        end
        waits[place] = allowed == 1 and time - now or NEVER
    end
    return waits
end
