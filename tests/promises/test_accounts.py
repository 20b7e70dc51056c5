"""Promise 25: units taken = units committed + units given back, in any order of calls."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.promises.suspending import SuspendingStore, cancelled_at
from tests.walks import some_examples
from traffik import Hit, Limiter, Penalty, hit_all, reserve_all
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock
from traffik.testing.stores import BUILT_IN, SettlingPeriod

LIMIT = 100
KEYS = ("a", "b")
costs = st.integers(0, 60)
several_costs = st.fixed_dictionaries(dict.fromkeys(range(3), costs))


class Accounts(RuleBasedStateMachine):
    """Three limits in two stores, with the expected usage of each key, on a virtual clock."""

    strategy = BUILT_IN[0]
    reservations = Bundle("reservations")

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        clock = VirtualClock()
        stores = InMemoryBackend(clock=clock), SuspendingStore(clock=clock), SuspendingStore(clock=clock)
        self.limits = [
            Limiter(f"accounts:{number}", f"{LIMIT}/day", strategy=self.strategy, backend=store)
            for number, store in enumerate(stores)
        ]
        self.used = {(number, key): 0 for number in range(3) for key in KEYS}
        self.held = dict.fromkeys(self.used, 0)

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def hits(self, costs):
        return [Hit(self.limits[number], cost) for number, cost in costs.items()]

    def fits(self, key, costs):
        return all(self.used[number, key] + cost <= LIMIT for number, cost in costs.items() if cost)

    def move(self, key, costs):
        for number, cost in costs.items():
            self.used[number, key] += cost

    def hold(self, key, costs):
        for number, cost in costs.items():
            self.held[number, key] += cost

    @rule(key=st.sampled_from(KEYS), costs=several_costs)
    def hit(self, key, costs):
        decision = self.run(hit_all(key, *self.hits(costs)))
        assert decision.allowed is self.fits(key, costs)
        if decision.allowed:
            self.move(key, costs)

    @rule(key=st.sampled_from(KEYS), costs=several_costs, number=st.integers(0, 8))
    def hit_and_be_cancelled(self, key, costs, number):
        before = self.left(key)
        self.run(cancelled_at(hit_all(key, *self.hits(costs)), number))
        if self.left(key) != before:
            assert self.fits(key, costs)
            self.move(key, costs)

    @rule(target=reservations, key=st.sampled_from(KEYS), costs=several_costs)
    def reserve(self, key, costs):
        reservation = reserve_all(key, *self.hits(costs))
        self.run(reservation.__aenter__())
        assert bool(reservation) is self.fits(key, costs)
        if not reservation:
            return None
        self.move(key, costs)
        self.hold(key, costs)
        return key, costs, reservation

    @rule(key=st.sampled_from(KEYS), costs=several_costs, number=st.integers(0, 8))
    def reserve_and_be_cancelled(self, key, costs, number):
        reservation = reserve_all(key, *self.hits(costs))
        if not self.run(cancelled_at(reservation.__aenter__(), number)) and reservation:
            self.run(reservation.__aexit__(ValueError, ValueError(), None))

    @rule(taken=consumes(reservations), actual=several_costs, number=st.integers(0, 3) | st.none())
    def commit(self, taken, actual, number):
        if taken is None:
            return
        key, costs, reservation = taken
        settling = reservation.commit({self.limits[number]: cost for number, cost in actual.items()})
        # Once a commit has begun it is completed, even if it is cancelled.
        self.run(settling if number is None else cancelled_at(settling, number))
        self.hold(key, {number: -cost for number, cost in costs.items()})
        for place, cost in costs.items():
            self.move(key, {place: min(actual[place] - cost, 2 * LIMIT - self.used[place, key])})
        with pytest.raises(RuntimeError):
            self.run(reservation.release())
        self.run(reservation.__aexit__(None, None, None))

    @rule(taken=consumes(reservations), failed=st.booleans(), number=st.integers(0, 3) | st.none())
    def leave(self, taken, failed, number):
        if taken is None:
            return
        key, costs, reservation = taken
        error = ValueError() if failed else None
        closing = reservation.__aexit__(error and ValueError, error, None)
        self.run(closing if number is None else cancelled_at(closing, number))
        minus = {number: -cost for number, cost in costs.items()}
        self.hold(key, minus)
        if failed:
            self.move(key, minus)
        with pytest.raises(RuntimeError):
            self.run(reservation.commit(0))

    @rule(place=st.integers(0, 2), key=st.sampled_from(KEYS), units=st.integers(1, 250))
    def charge(self, place, key, units):
        applied = min(units, 2 * LIMIT - self.used[place, key])
        assert self.run(self.limits[place].charge(key, units)).units == applied
        self.move(key, {place: applied})

    @rule(place=st.integers(0, 2), key=st.sampled_from(KEYS), units=st.integers(1, 250))
    def refund(self, place, key, units):
        units = min(units, self.used[place, key] - self.held[place, key])
        if units > 0:
            assert self.run(self.limits[place].refund(key, units)).units == -units
            self.move(key, {place: -units})

    @rule(place=st.integers(0, 2), key=st.sampled_from(KEYS), most=costs)
    def take_up_to(self, place, key, most):
        granted = min(most, max(0, LIMIT - self.used[place, key]))
        assert self.run(self.limits[place].take_up_to(key, most)) == granted
        self.move(key, {place: granted})

    @invariant()
    def what_is_left_is_what_was_not_used(self):
        for key in KEYS:
            assert self.left(key) == [max(0, LIMIT - self.used[number, key]) for number in range(3)]

    def left(self, key):
        return [self.run(limit.stat(key)).hits_remaining for limit in self.limits]

    def teardown(self):
        self.loop.close()


# A Penalty also refuses while a key is banned, so its remaining quota does not follow from the units alone.
for each in (*(strategy for strategy in BUILT_IN if not isinstance(strategy, Penalty)), SettlingPeriod()):
    name = type(each).__name__
    case = type(name, (Accounts,), {"strategy": each}).TestCase
    case.settings = settings(max_examples=some_examples())
    globals()[f"Test{name}"] = case
