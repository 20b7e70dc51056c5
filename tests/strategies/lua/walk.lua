-- One key under changing plans: what a store does, for a whole walk in one call. It has no clock, and nothing expires.
--
-- A step is a line of five words: an operation, the place of a plan, a cost, the time and how many hits back it looks. A
-- hit, a check, a take or a probe answers a line, and a hit, take or check the parts that it would leave; a "quiet" hit
-- says nothing of those. A hit or take that is admitted also answers its receipts, which a "settle" looks back for: it
-- settles that hit, by the plan that has counted it. The cost of a settle is its delta. "forget" drops the key; "spoil"
-- puts text number `cost` in the place of the part that stands where the plan would.

local function as_line(count, allowed, remaining, retry_after, reset_after, binding, ttl)
    local line = "%.0f %.0f %.0f %.0f %.0f %.0f %d"
    return line:format(allowed, remaining, retry_after, reset_after, binding, ttl, count)
end

local function walk(plans, steps, spoils)
    plans = cjson.decode(plans)
    local stored, before, parts, text = {}, "", {}, "" -- the parts and their rates: in the store, and of this step
    local lines, written, remembered = {}, {}, {}

    local function say_numbers(word, numbers)
        local line = { word }
        for place, number in ipairs(numbers) do
            line[place + 1] = ("%.0f"):format(number)
        end
        lines[#lines + 1] = table.concat(line, " ") .. " 0"
    end

    local function remember(rates, allowed, changed)
        if allowed == 1 then
            local receipts = settling.receipts_of(parts, changed, rates)
            remembered[#remembered + 1] = { receipts, { text, rates } }
            local flat = {}
            for _, receipt in ipairs(receipts) do
                for _, number in ipairs(receipt) do
                    flat[#flat + 1] = number
                end
            end
            say_numbers("receipts", flat)
        end
    end

    local function answer(operation, rates, allowed, remaining, retry_after, reset_after, binding, changed, ttl, granted)
        if operation == "hit" or operation == "take" then
            remember(rates, allowed, changed)
            say_numbers("granted", { granted })
        end
        if changed and operation ~= "check" then
            stored, before = changed, text
        end
        local former, ends, count = changed and changed.former or {}, {}, 0
        for place, entry in ipairs(former) do
            ends[place] = entry[2]
        end
        if #former > 0 then
            say_numbers("until", ends)
        end
        if operation ~= "quiet" then
            count = (changed and #changed or 0) + #former
            for _, part in ipairs(changed or {}) do
                written[#written + 1] = part or ""
            end
            for _, entry in ipairs(former) do
                written[#written + 1] = entry[3] or ""
            end
        end
        lines[#lines + 1] = as_line(count, allowed, remaining, retry_after, reset_after, binding, ttl)
    end

    local function settle_and_tell(rates, delta, now, back)
        local receipt = nil
        if back > 0 and back <= #remembered then
            receipt = remembered[#remembered + 1 - back][1]
        end
        local remaining, wait, reset, binding, changed, ttl, applied = settling.settle(parts, rates, delta, receipt, now)
        say_numbers("applied", { applied })
        answer("settle", rates, 1, remaining, wait, reset, binding, changed, ttl)
    end

    for operation, place, cost, now, back in steps:gmatch("(%S+) (%S+) (%S+) (%S+) (%S+)\n") do
        place, cost, now, back = tonumber(place), tonumber(cost), tonumber(now), tonumber(back)
        local rates = nil
        if operation ~= "spoil" then
            local hit = operation == "settle" and back > 0 and remembered[#remembered + 1 - back]
            text, rates = unpack(hit and hit[2] or plans[place])
            parts = before == text and stored or turns.turn(text, stored, before)
        end
        if operation == "forget" then
            stored, before = {}, ""
        elseif operation == "spoil" then
            if stored[place] then
                stored[place] = spoils[cost]
            end
        elseif operation == "probe" then
            local allowed, remaining, retry_after, reset_after, binding = probe(parts, rates, now)
            lines[#lines + 1] = as_line(0, allowed, remaining, retry_after, reset_after, binding, 0)
        elseif operation == "earliest" then
            say_numbers("earliest", settling.earliest(parts, rates, { cost, 1, cost }, now))
        elseif operation == "settle" then
            settle_and_tell(rates, cost, now, back)
        elseif operation == "take" then
            answer(operation, rates, settling.take_up_to(parts, rates, cost, now))
        else
            answer(operation, rates, decide(parts, rates, cost, now))
        end
    end
    return { table.concat(lines, "\n"), written }
end
