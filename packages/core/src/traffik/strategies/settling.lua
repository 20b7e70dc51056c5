-- The twin of settling.py: what is done with several rates beside deciding. Only exact operations: see exact.lua.
--
-- `rates` and `parts` are those of plans.lua. The functions are made when they are needed.

local settling = setmetatable({}, {
    __index = function(made, name)
        -- The receipts of a hit that changed the parts from `before` to `after`, an array for each rate.
        function made.receipts_of(before, after, rates)
            local found = {}
            for place, rate in ipairs(rates) do
                found[place] = receipts[rate[1]](before[place] or nil, after[place], rate[2])
            end
            return found
        end

        -- Settle one rate by its own receipt. If the hit was not counted by this rate, there is nothing to give back.
        local function settle_place(place, rate, part, delta, given, now)
            local receipt = given and given[place]
            if given and delta <= 0 and not (receipt and receipt[1]) then
                return nil, 0, 0
            end
            return settlers[rate[1]](part or nil, delta, receipt, now, rate[2])
        end

        -- Settle each rate by itself. Former rates are charged, but given nothing back. Returns the new parts or nil,
        -- their ttl, and the least units applied.
        local function settle_parts(parts, rates, delta, given, now)
            local left, ttl, least, any = {}, 0, nil, false
            for place, rate in ipairs(rates) do
                local part = parts[place] or false
                local changed, life, applied = settle_place(place, rate, part, delta, given, now)
                if not changed then
                    local _, _, _, reset_after, _, kept = ask(rate, part, 0, now)
                    life = math.max(reset_after, kept)
                end
                least = (not least or math.abs(applied) < math.abs(least)) and applied or least
                left[place], any, ttl = changed or part, any or changed, math.max(ttl, life)
            end
            if not any then
                return nil, 0, least
            end
            local kept, life = turns.charge(parts.former, math.max(delta, 0), now)
            left.former = kept
            return left, math.max(ttl, life), least
        end

        -- Give units back (`delta` below 0) or charge them in any case, by the receipts of a hit or, if nil, the units
        -- taken last. Returns remaining, retry_after, reset_after and the place of the binding rate, all after settling,
        -- the new parts or nil to keep the stored ones, the ttl of the new ones in µs, and the units applied.
        function made.settle(parts, rates, delta, given, now)
            local changed, ttl, applied = settle_parts(parts, rates, delta, given, now)
            local _, remaining, retry_after, reset_after, binding = probe(changed or parts, rates, now)
            return remaining, retry_after, reset_after, binding, changed, ttl, applied
        end

        -- Take `cost` units, or as many as remain. Returns the same as `decide`, and the units taken.
        function made.take_up_to(parts, rates, cost, now)
            local _, left = decide(parts, rates, 0, now)
            local units = math.min(cost, math.max(1, left))
            local allowed, remaining, retry_after, reset_after, binding, changed, ttl = decide(parts, rates, units, now)
            return allowed, remaining, retry_after, reset_after, binding, changed, ttl, units * allowed
        end

        -- To decide on a cost that waits as told; two are enough, unless the clock has gone far back.
        local ATTEMPTS = 10

        -- µs from `now` until each of the costs, one after the other, is admitted; NEVER for a cost that is not admitted
        -- before the year 2255.
        function made.earliest(parts, rates, costs, now)
            local waits, time = {}, now
            for place, cost in ipairs(costs) do
                local later, moment, attempts, allowed, wait = parts, time, 0, nil, nil
                repeat
                    attempts = attempts + 1
                    local answer = { decide(later, rates, cost, moment) }
                    local changed = answer[6]
                    allowed, wait = answer[1], answer[3]
                    later, moment = changed or later, moment + wait
                until allowed == 1 or moment >= EXACT or attempts == ATTEMPTS
                if allowed == 1 then
                    parts, time = later, moment
                end
                waits[place] = allowed == 1 and time - now or NEVER
            end
            return waits
        end

        return rawget(made, name)
    end,
})
