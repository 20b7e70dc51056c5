-- The twin of plans.py: several rates as one decision, all or nothing. Only exact operations: see exact.lua.
--
-- `rates` is an array of {name, numbers}, the twins of a plan; `parts` an array with the stored state of each, or false
-- for none. It may be shorter or longer than `rates`, as a plan for other rates has left it.

local function ask(rate, part, cost, now)
    return kernels[rate[1]](part or nil, cost, now, rate[2])
end

-- Decide for several rates, or with what other rates have left.
local function decide_together(parts, rates, cost, now)
    -- What each rate answers by itself.
    local function answers_of(parts, rates, cost, now)
        local answers = {}
        for place, rate in ipairs(rates) do
            local allowed, remaining, retry_after, reset_after, changed, ttl = ask(rate, parts[place], cost, now)
            answers[place] = {
                allowed = allowed == 1,
                remaining = remaining,
                retry_after = retry_after,
                reset_after = reset_after,
                changed = changed or false,
                ttl = ttl,
            }
        end
        return answers
    end

    -- The first that refuses longest; nil if all admit.
    local function longest_refusal(answers)
        local found
        for place, answer in ipairs(answers) do
            if not answer.allowed and (not found or answer.retry_after > answers[found].retry_after) then
                found = place
            end
        end
        return found
    end

    -- The first that has the least remaining.
    local function least_remaining(answers)
        local found = 1
        for place, answer in ipairs(answers) do
            if answer.remaining < answers[found].remaining then
                found = place
            end
        end
        return found
    end

    -- What remains after a refusal: what the others would have taken, they have not.
    local function remaining_untaken(answers, cost)
        local least = NEVER
        for _, answer in ipairs(answers) do
            least = math.min(least, answer.remaining + (answer.allowed and cost or 0))
        end
        return least
    end

    -- The parts and the ttl that a charge which all admit leaves.
    local function taken(answers)
        local parts, ttl = {}, 0
        for place, answer in ipairs(answers) do
            parts[place], ttl = answer.changed, math.max(ttl, answer.ttl)
        end
        return parts, ttl
    end

    -- What a refusal leaves: the parts that go on from an instant far back, as they do, and the others as they were.
    local function anew(answers, olds)
        local parts, ttl, any = {}, 0, false
        for place = 1, math.max(#answers, #olds) do
            local answer, old = answers[place], olds[place] or false
            if answer then
                ttl = math.max(ttl, answer.ttl > 0 and answer.ttl or answer.reset_after)
            end
            if answer and answer.changed and not answer.allowed then
                parts[place], any = answer.changed, true
            else
                parts[place] = old
            end
        end
        if any then
            return parts, ttl
        end
        return nil, 0
    end

    local answers = answers_of(parts, rates, cost, now)
    local binding = longest_refusal(answers)
    if binding then
        local answer = answers[binding]
        local remaining = remaining_untaken(answers, cost)
        return 0, remaining, answer.retry_after, answer.reset_after, binding, anew(answers, parts)
    end
    binding = least_remaining(answers)
    return 1, answers[binding].remaining, 0, answers[binding].reset_after, binding, taken(answers)
end

-- Decide one charge. Returns allowed (1 or 0), remaining, retry_after, reset_after, the place of the rate that binds,
-- the new parts or nil to leave those stored as they are, and the ttl of the new ones in µs.
local function decide(parts, rates, cost, now)
    if #rates == 1 and #parts <= 1 then
        local allowed, remaining, retry_after, reset_after, changed, ttl = ask(rates[1], parts[1], cost, now)
        return allowed, remaining, retry_after, reset_after, 1, changed and { changed } or nil, ttl
    end
    return decide_together(parts, rates, cost, now)
end

-- What is left, and the wait until one more unit is; changes nothing. Returns what `decide` does, up to the binding rate.
local function probe(parts, rates, now)
    local allowed, remaining, retry_after, reset_after, binding = decide(parts, rates, 0, now)
    if remaining <= 0 then
        local _, _, wait = decide(parts, rates, 1, now)
        retry_after = wait
    end
    return allowed, remaining, retry_after, reset_after, binding
end
