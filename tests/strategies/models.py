"""A slow and exact model of each strategy, written from its definition.

A model defines whether a cost is admitted at a time (`admits`) and what a hit changes (`take`). The quota left and the
wait are found by a search for the largest cost and the first instant that are admitted.
"""

from __future__ import annotations

from fractions import Fraction

from traffik import NEVER, Decision

EXACT = 2**53


def tick_of(period, fits):
    """The finest power of ten of µs that divides the period and fits."""
    return next(10**k for k in range(20) if period % 10**k == 0 and fits(10**k))


class Model:
    """A key under one rate, from its first hit on. Its time never goes back."""

    def __init__(self, rate, capacity=None):
        self.rate, self.limit, self.period = rate, rate.limit, rate.period
        self.capacity = rate.limit if capacity is None else capacity
        self.horizon = 3 * self.period
        self.hits = []

    def admits(self, cost, now):
        raise NotImplementedError

    def take(self, cost, now):
        self.hits.append((now, cost))

    def remaining(self, now):
        return last(lambda cost: self.admits(cost, now), self.capacity)

    def wait(self, cost, now):
        found = first(lambda wait: self.admits(cost, now + wait), self.horizon)
        return NEVER if found is None else found

    def hit(self, cost, now):
        """Decide and count a hit; the decision."""
        wait = self.wait(cost, now)
        if wait == 0:
            self.take(cost, now)
        reset = self.wait(self.capacity, now)
        return Decision(wait == 0, self.capacity, self.remaining(now), wait, reset, self.rate)


class FixedWindow(Model):
    def admits(self, cost, now):
        start, used = None, 0
        for time, taken in [*self.hits, (now, cost)]:
            if start is None or time >= start + self.period:
                start, used = time, 0
            used += taken
        return used <= self.limit


class SlidingLog(Model):
    def admits(self, cost, now):
        return sum(taken for time, taken in self.hits if time > now - self.period) + cost <= self.limit


class SlidingWindow(Model):
    """Units admitted in one cell of the window count as admitted at the latest hit of that cell."""

    def __init__(self, rate, resolution):
        super().__init__(rate)
        self.cell = 1 if rate.limit <= resolution else -(-rate.period // resolution)

    def admits(self, cost, now):
        latest = {time // self.cell: time for time, _ in self.hits}
        counted = [taken for time, taken in self.hits if latest[time // self.cell] > now - self.period]
        return sum(counted) + cost <= self.limit


class SlidingCounter(Model):
    def __init__(self, rate):
        super().__init__(rate)
        self.tick = tick_of(rate.period, lambda tick: 3 * max(rate.limit, 1) * rate.period < EXACT * tick)

    def admits(self, cost, now):
        now -= now % self.tick
        start = None
        for time, _ in [*self.hits, (now, cost)]:
            if start is None or time >= start + 2 * self.period:
                start = time
            elif time >= start + self.period:
                start += self.period
        previous = sum(taken for time, taken in self.hits if start - self.period <= time < start)
        current = sum(taken for time, taken in self.hits if time >= start)
        return previous * Fraction(start + self.period - now, self.period) + current + cost <= self.limit

    def take(self, cost, now):
        super().take(cost, now - now % self.tick)


class Meter(Model):
    def __init__(self, rate, burst=None, debt=0):
        self.burst = rate.limit if burst is None or rate.limit == 0 else burst
        super().__init__(rate, self.burst + debt if rate.limit else 0)
        self.debt = debt
        self.drain = Fraction(max(rate.limit, 1), rate.period)
        self.tick = tick_of(rate.period, self._fits)
        self.horizon = int(2 * (self.capacity + 1) / self.drain) + 2 * self.tick
        self.level, self.time = Fraction(0), 0

    def _fits(self, tick):
        drain = self.drain * tick
        certain = self.capacity * (1 if self.debt else 2)
        return 2 * (certain + 1) * drain.denominator + drain.numerator < EXACT

    def _level(self, now):
        return max(Fraction(0), self.level - (now - now % self.tick - self.time) * self.drain)

    def admits(self, cost, now):
        level = self._level(now)
        return level + cost <= self.capacity and (level < self.burst or not self.debt or not cost)

    def take(self, cost, now):
        self.level, self.time = self._level(now) + cost, now - now % self.tick


def first(holds, most):
    """The least of 0, 1, … for which it is true, if it is then true for all larger ones; None if it never is."""
    if not holds(most):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def last(holds, most):
    """The largest from 0 to `most` for which it is true, if it is then true for all smaller ones."""
    found = first(lambda number: number > most or not holds(number), most + 1)
    return max(0, found - 1)
