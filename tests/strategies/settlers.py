"""A key that is hit and settled at random, with its history."""

from __future__ import annotations

from tests.strategies.histories import history
from tests.walks import START
from traffik import NEVER
from traffik.strategies import plan, probe


class SettledKey:
    """A key under one rate, with its open reservations."""

    def __init__(self, strategy, rate, chance):
        self.plan = plan(strategy, [rate])
        self.chance, self.rate = chance, rate
        self.history = history(strategy, rate)
        self.state, self.now, self.open = None, START, []

    def step(self):
        """Take a random step; for a settlement, the units requested and applied."""
        self.now += self.chance.choice([0, 0, 1, self.chance.randint(0, 3), self.chance.randint(0, self.rate.period)])
        act = self.chance.choice([self.hit, self.hit, self.give_back, self.give_back, self.charge, self.refund])
        return act() or (0, 0)

    def hit(self):
        cost = self.chance.randint(1, max(1, self.plan.capacity // 2))
        decision, changed, _ = self.plan.kernel(self.state, cost, self.now)
        if decision.allowed:
            receipts = self.plan.receipt(self.state, changed)
            self.open.append((self.history.take(cost, self.now), receipts))
            self.state = changed

    def give_back(self):
        if not self.open:
            return None
        entry, receipts = self.open[place := self.chance.randrange(len(self.open))]
        units = self.chance.randint(0, entry.units)
        self.history.give_back(entry, units)
        if entry.units == 0 or self.chance.random() < 0.7:
            del self.open[place]
        return self.settle(-units, receipts)

    def refund(self):
        if self.chance.random() < 0.8:
            return None
        units = self.chance.randint(1, self.plan.capacity)
        self.history.give_back_latest(units)
        return self.settle(-units, None)

    def charge(self):
        if self.chance.random() < 0.6:
            return None
        asked, applied = self.settle(self.chance.randint(1, 2 * self.plan.capacity), None)
        if applied:
            self.history.take(applied, self.now)
        return asked, applied

    def settle(self, delta, receipts):
        settled = self.plan.settle(self.state, delta, receipts, self.now)
        self.state = self.state if settled.state is None else settled.state
        assert settled.decision == probe(self.plan.kernel, self.state, self.now)._replace(allowed=True)
        if settled.applied < 0 and settled.decision.reset_after == 0:
            assert self.history.remaining(self.now) == self.plan.capacity
            self.history.begin_anew()
        return delta, settled.applied

    def remaining(self, now):
        return self.plan.kernel(self.state, 0, now)[0].remaining

    def wait_is_exact(self, cost):
        wait = self.plan.kernel(self.state, cost, self.now)[0].retry_after
        if wait in {0, NEVER}:
            return self.plan.kernel(self.state, cost, self.now)[0].allowed is (wait == 0)
        tries = [self.plan.kernel(self.state, cost, self.now + wait + late)[0].allowed for late in (-1, 0)]
        return tries == [False, True]
