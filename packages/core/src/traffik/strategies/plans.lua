-- The twin of plans.py: several rates as one decision, all or nothing. Only exact operations: see exact.lua.
--
-- `rates` is an array of {name, numbers}, the twins of a plan. `parts` is an array with the stored state of each rate, or
-- false for none. Its field `former` has the rates that counted before, if there are any: see turns.lua.

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
        local kept, life = turns.charge(parts.former, 0, now)
        after.former, longest = kept, math.max(longest, life)
    end
    return 0, least, binding_wait, binding_reset, binding, any and after or nil, any and longest or 0
end

-- Decide for several rates, or for one rate if there are former ones.
local function decide_together(parts, rates, cost, now)
    local news = { nil, nil, nil, nil } -- room for two rates and for what a store adds, so that it seldom grows
    local binding, least, reset, longest = 1, nil, 0, 0
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
        local kept, life = turns.charge(parts.former, cost, now)
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
            local _, _, _, reset_after, _, kept = ask(rate, part, 0, now)
            life = math.max(reset_after, kept)
        end
        least = (not least or math.abs(applied) < math.abs(least)) and applied or least
        left[place], any, ttl = changed or part, any or changed, math.max(ttl, life)
    end
    if not any then
        return nil, 0, least
    end
    local kept, life = turns.charge(parts.former, math.max(delta, 0), now)
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

local ATTEMPTS = 10 -- to decide on a cost that waits as told; two are enough, unless the clock has gone far back

-- µs from `now` until each of the costs, one after the other, is admitted; NEVER for a cost that is not admitted before
-- the year 2255.
local function earliest(parts, rates, costs, now)
    local waits, time = {}, now
    for place, cost in ipairs(costs) do
        local later, moment, attempts, allowed, wait = parts, time, 0, nil, nil
        repeat
            attempts = attempts + 1
            local answer = { decide(later, rates, cost, moment) }
            local changed = answer[6]
            allowed, wait = answer[1], answer[3]
            later, moment = changed or later, moment + wait
        until allowed == 1 or moment >= EXACT or attempts == ATTEMPTS
        if allowed == 1 then
            parts, time = later, moment
        end
        waits[place] = allowed == 1 and time - now or NEVER
    end
    return waits
end
