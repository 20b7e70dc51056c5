-- The common part of the Lua kernels: exact arithmetic, and reading and writing of stored parts.
--
-- The twins of the strategies run inside Redis, with the same results as in Python, to the last bit. Numbers are
-- doubles here, so only exact operations are allowed: + - * and comparisons on integers whose results are below 2^53,
-- divisions without a remainder, and a % b for 0 <= a < 2^53 and 0 < b < 2^53. Lua computes it as
-- a - floor(a / b) * b, and for these a and b, a quotient that is no integer is never rounded up to one.
--
-- A script is this file, the kernels it needs, turns.lua, plans.lua, settling.lua, and script.lua of the store.
--
-- makers.name() returns the functions of a strategy:
--     kernels.name(part, cost, now, numbers), where `part` is the stored state of one rate, or nil, and `numbers` is
--     from twin() of the strategy. It returns allowed (1 or 0), remaining, retry_after, reset_after, changed, ttl.
--     `changed` is the new part, or nil to keep the stored one.
--     receipts.name(before, after, numbers) for the parts before and after an admitted hit. It returns an array of
--     integers.
--     settlers.name(part, delta, receipt, now, numbers), where `delta` is the units to charge in any case, or minus the
--     units to give back: those of the hit with this receipt, or the last ones if it is nil. It returns changed, ttl,
--     applied.

local EXACT = 9007199254740992
local NEVER = EXACT - 1

-- Redis runs the whole script at each call, so the functions of a strategy are made only when they are needed.
local makers = {}
local kernels, receipts, settlers = {}, {}, {}
local making = {
    __index = function(made, name)
        kernels[name], receipts[name], settlers[name] = makers[name]()
        return rawget(made, name)
    end,
}
setmetatable(kernels, making)
setmetatable(receipts, making)
setmetatable(settlers, making)

-- a / b, rounded down, for 0 <= a.
local function div(a, b)
    return (a - a % b) / b
end

-- a / b, rounded up, for 0 <= a.
local function div_up(a, b)
    return div(a + b - 1, b)
end

-- a * b / c, rounded down, for 0 <= a <= c. If the product is too large for a double, b is multiplied bit by bit.
local function share(a, b, c)
    local product = a * b
    if product < EXACT then
        return div(product, c)
    end
    local quotient, rest, bit = 0, 0, EXACT / 2
    repeat
        quotient, rest = 2 * quotient, 2 * rest
        if rest >= c then
            quotient, rest = quotient + 1, rest - c
        end
        if b >= bit then
            b, rest = b - bit, rest + a
            if rest >= c then
                quotient, rest = quotient + 1, rest - c
            end
        end
        bit = bit / 2
    until bit < 1
    return quotient
end

-- Whether a stored value is an integer as the kernels write it.
local function is_whole(value)
    return type(value) == "number" and value >= 0 and value < EXACT and value % 1 == 0
end

-- The same for the first integer of a part, which may be negative, but not 0.
local function is_first(value)
    return type(value) == "number" and value ~= 0 and is_whole(math.abs(value))
end

-- The three or four integers of a part; nil if it has any other content. The first integer is negative if the part is
-- overdrawn.
local function unpacked(part)
    if type(part) ~= "string" then
        return nil
    end
    local ok, first, second, third, fourth = pcall(cmsgpack.unpack, part)
    if ok and is_first(first) and is_whole(second) and is_whole(third) and is_whole(fourth or 0) then
        return first, second, third, fourth
    end
    return nil
end

-- The settler of a kernel. `give_back` gives units back. `overdraft` is the same kernel with the most that may be used in
-- any case as its capacity: it charges the units, or as many of them as it admits.
local function settler(overdraft, give_back)
    return function(part, delta, receipt, now, numbers)
        if delta <= 0 then
            return give_back(part, -delta, receipt, now, numbers)
        end
        local _, remaining = overdraft(part, 0, now, numbers)
        local applied = math.min(delta, remaining)
        if applied <= 0 then
            return nil, 0, 0
        end
        local _, _, _, _, changed, ttl = overdraft(part, applied, now, numbers)
        return changed, ttl, applied
    end
end
