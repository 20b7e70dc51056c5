-- The script of the Redis store: decides a batch of charges, each by itself, all at this server's time.
--
-- KEYS     a key for each charge
-- ARGV[1]  JSON: the plans, each {tag, {{kernel, {number, ...}}, ...}, whether its parts are several}; and behind them
--          the place of the plan, cost and operation of each charge, in one flat array
-- ARGV[2…] what operations SWAP take: the stored value that is expected, the new one, and its time to live in ms
--
-- Answers one flat array: the time in µs, then four integers a charge (twice the place of the rate that binds, and one
-- more if it is admitted; remaining, retry_after, reset_after), and last what some charges bring in text. Where a charge
-- has failed the first of its integers is -1, and the error is its text.
--
-- A value is a tag, which says what it is and how it is written, and behind it the part of the only rate, or the parts
-- of several packed together. A value of another tag counts as none.

local CHARGE, PEEK, PROBE, READ, SWAP = 0, 1, 2, 3, 4
local FAILED = -1
local MARGIN = 100 -- ms that a key outlives what it says, since the clock of expiry is coarser than ours

local call, sub, floor = redis.pcall, string.sub, math.floor
local plans, asked = unpack(cjson.decode(ARGV[1]))
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

-- The parts in a stored value, as `decide` takes them.
local function parts_of(value, tag, several)
    if not value or sub(value, 1, #tag) ~= tag then
        return {}
    end
    local rest = sub(value, #tag + 1)
    if not several then
        return {rest}
    end
    local fine, parts = pcall(cmsgpack.unpack, rest)
    return fine and type(parts) == 'table' and parts or {}
end

local function charge(key, plan, cost, operation)
    local stored = call('GET', key)
    if type(stored) == 'table' then
        return fail(stored)
    end
    local tag, rates, several = plan[1], plan[2], plan[3]
    local parts = parts_of(stored, tag, several)
    if operation == PROBE then
        local allowed, remaining, retry_after, reset_after, binding = probe(parts, rates, now)
        return add(2 * binding + allowed, remaining, retry_after, reset_after)
    end
    local allowed, remaining, retry_after, reset_after, binding, changed, ttl = decide(parts, rates, cost, now)
    if changed and operation == CHARGE then
        local value = tag .. (several and cmsgpack.pack(changed) or changed[1])
        local answer = call('SET', key, value, 'PX', string.format('%.0f', floor(ttl / 1000) + MARGIN))
        if answer.err then
            return fail(answer)
        end
    end
    add(2 * binding + allowed, remaining, retry_after, reset_after)
end

local function read(key)
    local stored = call('GET', key)
    if type(stored) == 'table' then
        return fail(stored)
    end
    add(stored and 1 or 0, 0, 0, 0)
    if stored then
        texts[#texts + 1] = stored
    end
end

local function swap(key)
    local expected, new, life = ARGV[next_text], ARGV[next_text + 1], ARGV[next_text + 2]
    next_text = next_text + 3
    local stored = call('GET', key)
    if type(stored) == 'table' then
        return fail(stored)
    end
    if (stored or '') ~= expected then
        return add(0, 0, 0, 0)
    end
    local answer = call('SET', key, new, 'PX', life)
    if answer.err then
        return fail(answer)
    end
    add(1, 0, 0, 0)
end

for place, key in ipairs(KEYS) do
    local operation = asked[3 * place]
    if operation == READ then
        read(key)
    elseif operation == SWAP then
        swap(key)
    else
        charge(key, plans[asked[3 * place - 2]], asked[3 * place - 1], operation)
    end
end

for place, text in ipairs(texts) do
    out[filled + place] = text
end
return out
