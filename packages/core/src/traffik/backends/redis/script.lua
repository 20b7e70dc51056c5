-- The script of the Redis store: decides a batch of charges, each by itself, all at this server's time.
--
-- KEYS     a key for each charge; none where they are of several slots of a cluster, all of them this server's
-- ARGV[1]  JSON: the plans, each {tag, {{kernel, {number, ...}}, ...}, whether it has several rates, the rates as text
--          (see turns.lua), the tag of plans with several, whether some rates are of the calendar}; behind them the
--          place of the plan, cost and operation of each charge, in one flat array; and then the keys, if KEYS has none
-- ARGV[2…] what some operations take: SWAP the stored value that is expected, the new one, and its time to live in ms;
--          SETTLE the receipts, and FORESEE the costs, as integers with commas between them; a semicolon ends a receipt
--
-- Answers one flat array: the time in µs, then four integers a charge (twice the place of the rate that binds, and one
-- more if it is admitted; remaining, retry_after, reset_after), and last what some charges bring in text. Where a charge
-- has failed the first of its integers is -1, and the error is its text.
--
-- Charges of the kinds TAKE, HOLD and TRY, up to one with LAST added to its operation, are decided together: none is
-- kept if one refuses. Each sees what those before it leave.
--
-- A value is a tag, which says what it is and how it is written, and behind it the part of the only rate, or, with the
-- tag of several rates, these packed together: the parts, the former rates or false, and the rates as text. Each can be
-- read as the other, so that a limit that gets a second rate goes on with what was used under its first. A value of
-- another tag counts as none.

local CHARGE, PEEK, PROBE, READ, SWAP, TAKE, HOLD, TRY, SETTLE, TAKE_UP_TO, FORESEE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local LAST = 16
local FAILED = -1
local MARGIN = 100 -- ms that a key outlives what it says, since the clock of expiry is coarser than ours

local call, sub = redis.pcall, string.sub
local plans, asked, undeclared = unpack(cjson.decode(ARGV[1]))
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local out, filled = {now}, 1
local texts, next_text = {}, 2

local function add(status, remaining, retry_after, reset_after)
    out[filled + 1], out[filled + 2], out[filled + 3], out[filled + 4] = status, remaining, retry_after, reset_after
    filled = filled + 4
end

local function fail(answer)
    add(FAILED, 0, 0, 0)
    texts[#texts + 1] = answer.err
end

local function keep(key, value, ttl)
    return call('SET', key, value, 'PX', div(ttl, 1000) + MARGIN)
end

-- The parts in a value of several rates, for the rates of a plan.
local function parts_of(stored, plan)
    local fine, found = pcall(cmsgpack.unpack, sub(stored, 2))
    if not fine or type(found) ~= 'table' or type(found[#found]) ~= 'string' then
        return {}
    end
    local rates, former = found[#found], found[#found - 1]
    if former then
        found.former = former
    end
    return rates == plan[4] and found or turns.turn(plan[4], found, rates)
end

-- The parts in a stored value, as a plan reads them.
local function parts_for(plan, stored)
    local tag, several = stored and sub(stored, 1, 1), plan[5]
    if not tag then
        return {}
    elseif tag == several then
        local parts = parts_of(stored, plan)
        return plan[3] and parts or {parts[1]}
    elseif not plan[3] then
        return tag == plan[1] and {sub(stored, 2)} or {}
    end
    local calendar = tag == 'k'
    return (calendar or tag == string.lower(several)) and turns.adopt(plan[4], sub(stored, 2), calendar) or {}
end

local function value_of(plan, parts)
    if not plan[3] then
        return plan[1] .. parts[1]
    end
    local former, last = parts.former or false, #plan[2]
    parts.former, parts[last + 1], parts[last + 2] = nil, former, plan[4]
    return plan[1] .. cmsgpack.pack(parts)
end

-- Decide one charge by the kernel of its only rate.
local function charge_one(key, stored, plan, cost, operation)
    local tag, rate = plan[1], plan[2][1]
    local part = stored and (sub(stored, 1, 1) == tag and sub(stored, 2) or parts_for(plan, stored)[1]) or nil
    local kernel = kernels[rate[1]]
    local allowed, remaining, retry_after, reset_after, changed, ttl = kernel(part, cost, now, rate[2])
    if changed and operation == CHARGE then
        local answer = keep(key, tag .. changed, ttl)
        if answer.err then
            return fail(answer)
        end
    elseif operation == PROBE and remaining <= 0 then
        local _, _, wait = kernel(part, 1, now, rate[2])
        retry_after = wait
    end
    add(2 + allowed, remaining, retry_after, reset_after)
end

-- Decide one charge by several rates, or by as many as there may be another time.
local function charge_several(key, stored, plan, cost, operation)
    local parts, rates = parts_for(plan, stored), plan[2]
    if operation == PROBE then
        local allowed, remaining, retry_after, reset_after, binding = probe(parts, rates, now)
        return add(2 * binding + allowed, remaining, retry_after, reset_after)
    end
    local allowed, remaining, retry_after, reset_after, binding, changed, ttl = decide(parts, rates, cost, now)
    if changed and operation == CHARGE then
        local answer = keep(key, value_of(plan, changed), ttl)
        if answer.err then
            return fail(answer)
        end
    end
    add(2 * binding + allowed, remaining, retry_after, reset_after)
end

local function read(stored)
    add(stored and 1 or 0, 0, 0, 0)
    if stored then
        texts[#texts + 1] = stored
    end
end

local function swap(key, stored, expected, new, life)
    if (stored or '') ~= expected then
        return add(0, 0, 0, 0)
    end
    local answer = call('SET', key, new, 'PX', life)
    if answer.err then
        return fail(answer)
    end
    add(1, 0, 0, 0)
end

local function in_text(numbers)
    local found = {}
    for place, number in ipairs(numbers) do
        found[place] = string.format('%.0f', number)
    end
    return table.concat(found, ',')
end

-- The integers in a text with commas between them; nil if it is empty.
local function integers_in(text)
    local found = {}
    for number in string.gmatch(text, '[^,]+') do
        found[#found + 1] = tonumber(number)
    end
    return #found > 0 and found or nil
end

-- The receipts in a text, each an array of integers; nil if there are none.
local function receipts_in(text)
    local found = {}
    for each in string.gmatch(text, '([^;]*);') do
        found[#found + 1] = integers_in(each) or {}
    end
    return #found > 0 and found or nil
end

local function receipts_in_text(receipts)
    local found = ''
    for _, receipt in ipairs(receipts) do
        found = found .. in_text(receipt) .. ';'
    end
    return found
end

-- The takes that are decided together: each with its key, plan, stored value and decision. And the values that they
-- would leave, by key.
local takes, drafts = {}, {}

local function decide_take(key, stored, plan, cost, operation)
    if type(stored) == 'table' then
        takes[#takes + 1] = {error = stored}
        return
    end
    local parts = parts_for(plan, drafts[key] or stored)
    local allowed, remaining, retry_after, reset_after, binding, changed, ttl = decide(parts, plan[2], cost, now)
    local value = changed and value_of(plan, changed)
    if value and allowed == 1 then
        drafts[key] = value
    end
    -- All fields at once, so that the table does not grow.
    takes[#takes + 1] = {
        key = key, plan = plan, stored = stored, operation = operation, parts = parts, allowed = allowed,
        remaining = remaining, retry_after = retry_after, reset_after = reset_after, binding = binding,
        changed = changed, value = value, ttl = ttl
    }
end

-- Keep what takes leave; the error if that fails, and then all is as it was before.
local function keep_takes(kept)
    for place, take in ipairs(kept) do
        local answer = keep(take.key, take.value, take.ttl)
        if answer.err then
            for before = place - 1, 1, -1 do
                local take = kept[before]
                if take.stored then
                    call('SET', take.key, take.stored, 'KEEPTTL')
                else
                    call('DEL', take.key)
                end
            end
            return answer
        end
    end
end

-- End the takes that are decided together: keep and answer them.
local function end_takes()
    local refused, err, kept = false, nil, {}
    for _, take in ipairs(takes) do
        refused, err = refused or take.allowed ~= 1, err or take.error
    end
    for _, take in ipairs(takes) do
        -- What a refused one changes: its clock has gone far back, and the state goes on from here.
        if not err and take.value and take.operation ~= TRY and (take.allowed ~= 1) == refused then
            kept[#kept + 1] = take
        end
    end
    err = err or keep_takes(kept)
    for _, take in ipairs(takes) do
        if err then
            fail(err)
        else
            if refused and take.allowed == 1 then
                -- What is left without it.
                local parts = parts_for(take.plan, take.stored)
                take.allowed, take.remaining, take.retry_after, take.reset_after, take.binding =
                    decide(parts, take.plan[2], 0, now)
            end
            add(2 * take.binding + take.allowed, take.remaining, take.retry_after, take.reset_after)
            if take.operation == HOLD then
                local held = not refused and take.changed
                texts[#texts + 1] = held and receipts_in_text(receipts_of(take.parts, take.changed, take.plan[2])) or ''
            end
        end
    end
    takes, drafts = {}, {}
end

local function settle_one(key, stored, plan, delta, receipt)
    local parts = parts_for(plan, stored)
    if stored and #parts == 0 then
        delta = 0 -- A plan that this one cannot read counts the key by now.
    end
    local remaining, retry_after, reset_after, binding, changed, ttl, applied =
        settle(parts, plan[2], delta, receipts_in(receipt), now)
    if changed then
        local answer = keep(key, value_of(plan, changed), ttl)
        if answer.err then
            return fail(answer)
        end
    end
    add(2 * binding + 1, remaining, retry_after, reset_after)
    texts[#texts + 1] = in_text({applied})
end

local function take_what_is_left(key, stored, plan, cost)
    local allowed, remaining, retry_after, reset_after, binding, changed, ttl, granted =
        take_up_to(parts_for(plan, stored), plan[2], cost, now)
    if changed then
        local answer = keep(key, value_of(plan, changed), ttl)
        if answer.err then
            return fail(answer)
        end
    end
    add(2 * binding + allowed, remaining, retry_after, reset_after)
    texts[#texts + 1] = in_text({granted})
end

local function foresee(stored, plan, costs)
    local parts = parts_for(plan, stored)
    local allowed, remaining, retry_after, reset_after, binding = decide(parts, plan[2], 0, now)
    add(2 * binding + allowed, remaining, retry_after, reset_after)
    texts[#texts + 1] = in_text(earliest(parts, plan[2], integers_in(costs) or {}, now))
end

-- The error if the windows of the calendar in a plan are not those around now.
local function misdated(plan)
    for _, rate in ipairs(plan[2]) do
        local starts = rate[2]
        if rate[1] == 'calendar_window' and (now < starts[3] or now >= starts[6]) then
            return {err = 'CLOCK the application and this server differ by a whole calendar period: set their clocks'}
        end
    end
end

-- Carry out an operation on a key, with the first of the texts in ARGV that are for it.
local function carry_out(key, stored, plan, cost, operation, text)
    if operation >= TAKE and operation <= TRY then
        decide_take(key, stored, plan, cost, operation)
    elseif type(stored) == 'table' then
        fail(stored)
    elseif operation == READ then
        read(stored)
    elseif operation == SWAP then
        swap(key, stored, ARGV[text], ARGV[text + 1], ARGV[text + 2])
    elseif operation == SETTLE then
        settle_one(key, stored, plan, cost, ARGV[text])
    elseif operation == TAKE_UP_TO then
        take_what_is_left(key, stored, plan, cost)
    elseif operation == FORESEE then
        foresee(stored, plan, ARGV[text])
    elseif plan[3] then
        charge_several(key, stored, plan, cost, operation)
    else
        charge_one(key, stored, plan, cost, operation)
    end
end

for place, key in ipairs(undeclared or KEYS) do
    local plan, cost, operation = plans[asked[3 * place - 2]], asked[3 * place - 1], asked[3 * place]
    local stored = plan ~= 0 and plan[6] and misdated(plan) or call('GET', key)
    local text, last = next_text, operation >= LAST
    operation = last and operation - LAST or operation
    if operation == SWAP then
        next_text = next_text + 3
    elseif operation == SETTLE or operation == FORESEE then
        next_text = next_text + 1
    end
    -- A damaged value may lead to any error, which must not fail the charges of others. It counts as none.
    if not pcall(carry_out, key, stored, plan, cost, operation, text) then
        carry_out(key, false, plan, cost, operation, text)
    end
    if last then
        end_takes()
    end
end

for place, text in ipairs(texts) do
    out[filled + place] = text
end
return out
