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
