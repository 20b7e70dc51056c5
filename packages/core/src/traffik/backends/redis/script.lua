-- The script of the Redis store: decides a batch of charges, each by itself, all at this server's time.
--
-- KEYS     a key for each charge; none where they are of several slots of a cluster, all of them this server's
-- ARGV[1]  JSON: the plans, each {tag, {{kernel, {number, ...}}, ...}, whether it has several rates, the rates as text
--          (see turns.lua), the tag of plans with several, whether some rates are of the calendar}; behind them, in one
--          flat array, the place of the plan, cost and operation of charges, and of how many in a row; and then the
--          keys, if KEYS has none
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

local call, pcall, type, sub = redis.pcall, pcall, type, string.sub
local plans, asked, undeclared = unpack(cjson.decode(ARGV[1]))
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local out, filled = {now}, 1
local texts, next_text = {}, 2

local function put(place, status, remaining, retry_after, reset_after)
    local out = out
    out[place + 1], out[place + 2], out[place + 3], out[place + 4] = status, remaining, retry_after, reset_after
end

local function add(status, remaining, retry_after, reset_after)
    put(filled, status, remaining, retry_after, reset_after)
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
    local former, last = parts.former, #plan[2]
    if former then
        parts.former = nil
    end
    parts[last + 1], parts[last + 2] = former or false, plan[4]
    return plan[1] .. cmsgpack.pack(parts)
end

-- Decide on a charge of a value. Returns allowed (1 or 0), remaining, retry_after, reset_after, the place of the
-- binding rate, the new value or nil to keep the stored one, and its ttl in µs.
local function decide_value(plan, stored, cost)
    local tag, rates = plan[1], plan[2]
    if plan[3] then
        local allowed, remaining, retry_after, reset_after, binding, changed, ttl =
            decide(parts_for(plan, stored), rates, cost, now)
        return allowed, remaining, retry_after, reset_after, binding, changed and value_of(plan, changed), ttl
    end
    local rate, part = rates[1], nil
    if stored then
        part = sub(stored, 1, 1) == tag and sub(stored, 2) or parts_for(plan, stored)[1]
    end
    local allowed, remaining, retry_after, reset_after, changed, ttl = kernels[rate[1]](part, cost, now, rate[2])
    return allowed, remaining, retry_after, reset_after, 1, changed and tag .. changed, ttl
end

local function charge(key, stored, plan, cost, operation)
    local allowed, remaining, retry_after, reset_after, binding, value, ttl = decide_value(plan, stored, cost)
    if operation == CHARGE then
        local answer = value and keep(key, value, ttl)
        if answer and answer.err then
            return fail(answer)
        end
    elseif operation == PROBE and remaining <= 0 then
        local _, _, wait = decide_value(plan, stored, 1)
        retry_after = wait
    end
    add(2 * binding + allowed, remaining, retry_after, reset_after)
end

local function in_text(numbers)
    local found = {}
    for place, number in ipairs(numbers) do
        found[place] = string.format('%.0f', number)
    end
    return table.concat(found, ',')
end

-- Redis runs the whole script at each call, so the functions of most operations are made only when they are needed.

-- Makes the functions of takes that are decided together: to decide one, and to end those before.
local function make_takes()
    -- The first `count` are the takes that are decided together, with what they would leave and the places of their
    -- answers. The table is used for the next ones too, so that it does not grow again.
    local takes, count = {}, 0

    -- The value that the takes so far would leave of a key, or else the stored one.
    local function value_before(key, stored)
        for place = count, 1, -1 do
            local take = takes[place]
            if take.key == key and take.allowed == 1 and take.value then
                return take.value
            end
        end
        return stored
    end

    local function receipts_in_text(plan, before, after)
        local found = ''
        for _, receipt in ipairs(settling.receipts_of(parts_for(plan, before), parts_for(plan, after), plan[2])) do
            found = found .. in_text(receipt) .. ';'
        end
        return found
    end

    local function decide_take(key, stored, plan, cost, operation)
        local take
        if type(stored) == 'table' then
            take = {error = stored, place = filled}
            add(FAILED, 0, 0, 0)
        else
            local before = value_before(key, stored)
            local allowed, remaining, retry_after, reset_after, binding, value, ttl = decide_value(plan, before, cost)
            local receipts = operation == HOLD and value and allowed == 1 and receipts_in_text(plan, before, value)
            -- All fields at once, so that the table does not grow.
            take = {
                key = key, plan = plan, stored = stored, allowed = allowed, value = value, ttl = ttl, receipts = receipts,
                place = filled
            }
            add(2 * binding + allowed, remaining, retry_after, reset_after)
        end
        count = count + 1
        takes[count] = take
    end

    -- Whether a take is kept. A refused one changes something if its clock has gone far back: the state goes on from here.
    local function is_kept(take, refused)
        return take.value and (take.allowed ~= 1) == refused
    end

    -- Keep what takes leave; the error if that fails, and then all is as it was before.
    local function keep_takes(refused)
        for place = 1, count do
            local take = takes[place]
            local answer = is_kept(take, refused) and keep(take.key, take.value, take.ttl)
            if answer and answer.err then
                for before = place - 1, 1, -1 do
                    local take = takes[before]
                    if is_kept(take, refused) and take.stored then
                        call('SET', take.key, take.stored, 'KEEPTTL')
                    elseif is_kept(take, refused) then
                        call('DEL', take.key)
                    end
                end
                return answer
            end
        end
    end

    -- End the takes that are decided together: keep them all, or, if one refuses, answer what is left without them.
    local function end_takes(operation)
        local refused, err = false, nil
        for place = 1, count do
            local take = takes[place]
            refused, err = refused or take.allowed ~= 1, err or take.error
        end
        if not err and operation ~= TRY then
            err = keep_takes(refused)
        end
        for place = 1, (err or refused or operation == HOLD) and count or 0 do
            local take = takes[place]
            if err then
                put(take.place, FAILED, 0, 0, 0)
                texts[#texts + 1] = err.err
            elseif refused and take.allowed == 1 then
                local allowed, remaining, retry_after, reset_after, binding = decide_value(take.plan, take.stored, 0)
                put(take.place, 2 * binding + allowed, remaining, retry_after, reset_after)
            end
            if operation == HOLD and not err then
                texts[#texts + 1] = not refused and take.receipts or ''
            end
        end
        count = 0
    end

    return decide_take, end_takes
end

-- Makes the functions of all other operations, by operation.
local function make_others()
    local function read(_, stored)
        add(stored and 1 or 0, 0, 0, 0)
        if stored then
            texts[#texts + 1] = stored
        end
    end

    local function swap(key, stored, _, _, _, text)
        local expected, new, life = ARGV[text], ARGV[text + 1], ARGV[text + 2]
        if (stored or '') ~= expected then
            return add(0, 0, 0, 0)
        end
        local answer = call('SET', key, new, 'PX', life)
        if answer.err then
            return fail(answer)
        end
        add(1, 0, 0, 0)
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

    -- Keep the new parts, if there are any. Whether that worked; if not, the error is the answer.
    local function is_kept(key, plan, changed, ttl)
        local answer = changed and keep(key, value_of(plan, changed), ttl)
        if answer and answer.err then
            fail(answer)
            return false
        end
        return true
    end

    local function settle_one(key, stored, plan, delta, _, text)
        local parts = parts_for(plan, stored)
        if stored and #parts == 0 then
            delta = 0 -- A plan that this one cannot read counts the key by now.
        end
        local remaining, retry_after, reset_after, binding, changed, ttl, applied =
            settling.settle(parts, plan[2], delta, receipts_in(ARGV[text]), now)
        if not is_kept(key, plan, changed, ttl) then
            return
        end
        add(2 * binding + 1, remaining, retry_after, reset_after)
        texts[#texts + 1] = in_text({applied})
    end

    local function take_what_is_left(key, stored, plan, cost)
        local allowed, remaining, retry_after, reset_after, binding, changed, ttl, granted =
            settling.take_up_to(parts_for(plan, stored), plan[2], cost, now)
        if not is_kept(key, plan, changed, ttl) then
            return
        end
        add(2 * binding + allowed, remaining, retry_after, reset_after)
        texts[#texts + 1] = in_text({granted})
    end

    local function foresee(_, stored, plan, _, _, text)
        local parts = parts_for(plan, stored)
        local allowed, remaining, retry_after, reset_after, binding = decide(parts, plan[2], 0, now)
        add(2 * binding + allowed, remaining, retry_after, reset_after)
        texts[#texts + 1] = in_text(settling.earliest(parts, plan[2], integers_in(ARGV[text]) or {}, now))
    end

    return {
        [READ] = read, [SWAP] = swap, [SETTLE] = settle_one, [TAKE_UP_TO] = take_what_is_left, [FORESEE] = foresee
    }
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

local decide_take, end_takes, others

-- The function that carries out an operation, and the number of texts in ARGV that are for it.
local function work_for(operation)
    if operation <= PROBE then
        return charge, 0
    elseif operation >= TAKE and operation <= TRY then
        if not decide_take then
            decide_take, end_takes = make_takes()
        end
        return decide_take, 0
    end
    others = others or make_others()
    return others[operation], operation == SWAP and 3 or (operation == SETTLE or operation == FORESEE) and 1 or 0
end

local keys, done = undeclared or KEYS, 0
for run = 1, #asked, 4 do
    local plan, cost, operation, count = plans[asked[run]], asked[run + 1], asked[run + 2], asked[run + 3]
    local last = operation >= LAST
    operation = last and operation - LAST or operation
    local work, needed = work_for(operation)
    local misdate = plan ~= 0 and plan[6] and misdated(plan)
    for place = done + 1, done + count do
        local key = keys[place]
        local stored = misdate or call('GET', key)
        if type(stored) == 'table' and work ~= decide_take then
            fail(stored)
        -- A damaged value may lead to any error, which must not fail the charges of others. It counts as none.
        elseif not pcall(work, key, stored, plan, cost, operation, next_text) then
            work(key, false, plan, cost, operation, next_text)
        end
        next_text = next_text + needed
        if last then
            end_takes(operation)
        end
    end
    done = done + count
end

for place, text in ipairs(texts) do
    out[filled + place] = text
end
return out
