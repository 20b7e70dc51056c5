-- The script of the Redis store: decides a batch of charges, each by itself, all at this server's time.
--
-- KEYS     a key for each charge; none where they are of several slots of a cluster, all of them this server's
-- ARGV[1]  JSON: the plans, each {tag, {{kernel, {number, ...}}, ...}, whether it has several parts}; behind them the
--          place of the plan, cost and operation of each charge, in one flat array; and then the keys, if KEYS has none
-- ARGV[2…] what operations SWAP take: the stored value that is expected, the new one, and its time to live in ms
--
-- Answers one flat array: the time in µs, then four integers a charge (twice the place of the rate that binds, and one
-- more if it is admitted; remaining, retry_after, reset_after), and last what some charges bring in text. Where a charge
-- has failed the first of its integers is -1, and the error is its text.
--
-- A value is a tag, which says what it is and how it is written, and behind it the part of the only rate, or, with the
-- tag in upper case, the parts of several packed together. Each can be read as the other, so that a limit that gets a
-- second rate goes on with what was used under its first. A value of another tag counts as none.

local CHARGE, PEEK, PROBE, READ, SWAP = 0, 1, 2, 3, 4
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

-- The parts in a value with the tag of several.
local function parts_of(stored)
    local fine, parts = pcall(cmsgpack.unpack, sub(stored, 2))
    return fine and type(parts) == 'table' and parts or {}
end

-- Decide one charge by the kernel of its only rate.
local function charge_one(key, stored, tag, rate, cost, operation)
    local part
    if stored then
        local stored_tag = sub(stored, 1, 1)
        part = stored_tag == tag and sub(stored, 2) or stored_tag == string.upper(tag) and parts_of(stored)[1] or nil
    end
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
local function charge_several(key, stored, tag, rates, cost, operation)
    local parts = {}
    if stored then
        local stored_tag = sub(stored, 1, 1)
        parts = stored_tag == tag and parts_of(stored) or stored_tag == string.lower(tag) and {sub(stored, 2)} or parts
    end
    if operation == PROBE then
        local allowed, remaining, retry_after, reset_after, binding = probe(parts, rates, now)
        return add(2 * binding + allowed, remaining, retry_after, reset_after)
    end
    local allowed, remaining, retry_after, reset_after, binding, changed, ttl = decide(parts, rates, cost, now)
    if changed and operation == CHARGE then
        local answer = keep(key, tag .. cmsgpack.pack(changed), ttl)
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

for place, key in ipairs(undeclared or KEYS) do
    local plan, cost, operation = plans[asked[3 * place - 2]], asked[3 * place - 1], asked[3 * place]
    local stored, text = call('GET', key), next_text
    if operation == SWAP then
        next_text = next_text + 3
    end
    if type(stored) == 'table' then
        fail(stored)
    elseif operation == READ then
        read(stored)
    elseif operation == SWAP then
        swap(key, stored, ARGV[text], ARGV[text + 1], ARGV[text + 2])
    elseif plan[3] then
        charge_several(key, stored, plan[1], plan[2], cost, operation)
    else
        charge_one(key, stored, plan[1], plan[2][1], cost, operation)
    end
end

for place, text in ipairs(texts) do
    out[filled + place] = text
end
return out
