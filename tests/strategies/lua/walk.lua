-- One key under changing plans: what a store does, for a whole walk in one call. It has no clock, and nothing expires.
--
-- A step is a line of four words: an operation, the place of a plan, a cost and the time. A hit, a check or a probe
-- answers a line, and a hit or check the parts that it would leave; a "quiet" hit says nothing of those. "forget" drops
-- the key; "spoil" puts text number `cost` in the place of the part that stands where the plan would.

local function as_line(count, allowed, remaining, retry_after, reset_after, binding, ttl)
    local line = "%.0f %.0f %.0f %.0f %.0f %.0f %d"
    return line:format(allowed, remaining, retry_after, reset_after, binding, ttl, count)
end

local function walk(plans, steps, spoils)
    plans = cjson.decode(plans)
    local parts, lines, written = {}, {}, {}

    local function answer(operation, allowed, remaining, retry_after, reset_after, binding, changed, ttl)
        if changed and operation ~= "check" then
            parts = changed
        end
        if operation == "quiet" then
            changed = nil
        end
        for _, part in ipairs(changed or {}) do
            written[#written + 1] = part or ""
        end
        local count = changed and #changed or 0
        lines[#lines + 1] = as_line(count, allowed, remaining, retry_after, reset_after, binding, ttl)
    end

    for operation, place, cost, now in steps:gmatch("(%S+) (%S+) (%S+) (%S+)\n") do
        place, cost, now = tonumber(place), tonumber(cost), tonumber(now)
        if operation == "forget" then
            parts = {}
        elseif operation == "spoil" then
            if parts[place] then
                parts[place] = spoils[cost]
            end
        elseif operation == "probe" then
            local allowed, remaining, retry_after, reset_after, binding = probe(parts, plans[place], now)
            lines[#lines + 1] = as_line(0, allowed, remaining, retry_after, reset_after, binding, 0)
        else
            answer(operation, decide(parts, plans[place], cost, now))
        end
    end
    return { table.concat(lines, "\n"), written }
end
