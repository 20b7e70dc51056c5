-- What the Lua kernels share: exact arithmetic, and the way in and out of a stored part.
--
-- The twins of the strategies run inside Redis and answer what their Python answers, to the last bit. Numbers are
-- doubles here, so this is the rule of the house: + - * and comparisons on integers whose results stay below 2^53,
-- math.fmod, which is exact, and a division only where nothing is left over.
--
-- A script is this file, the kernels it needs, plans.lua, and script.lua of the store.
--
-- A kernel, as makers.name() returns it: kernels.name(part, cost, now, numbers), where `part` is the stored state of one rate, or nil, and `numbers`
-- is what the strategy's twin() says. It returns
--     allowed (1 or 0), remaining, retry_after, reset_after, changed, ttl
-- with `changed` the new part, or nil to leave what is stored as it is.

local EXACT = 9007199254740992
local NEVER = EXACT - 1

-- Redis runs a script from its top at every call, so a kernel is made only when it is asked for.
local makers = {}
local kernels = setmetatable({}, {
    __index = function(made, name)
        local kernel = makers[name]()
        made[name] = kernel
        return kernel
    end,
})

-- a / b, rounded down, for 0 <= a.
local function div(a, b)
    return (a - math.fmod(a, b)) / b
end

-- a / b, rounded up, for 0 <= a.
local function div_up(a, b)
    return div(a + b - 1, b)
end

-- a * b / c, rounded down, for 0 <= a <= c: with b doubled up bit by bit where the product is too large for a double.
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

-- Whether a stored value is an integer such as the kernels write.
local function is_whole(value)
    return type(value) == "number" and value >= 0 and value < EXACT and math.fmod(value, 1) == 0
end

-- The three or four integers of a part, the first of which is never 0; nothing if it holds anything else.
local function unpacked(part)
    if type(part) ~= "string" then
        return nil
    end
    local ok, first, second, third, fourth = pcall(cmsgpack.unpack, part)
    if ok and is_whole(first) and first > 0 and is_whole(second) and is_whole(third) and is_whole(fourth or 0) then
        return first, second, third, fourth
    end
    return nil
end
