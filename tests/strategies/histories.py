"""Slow models of strategies that settle. They compute the quota from all admitted units each time.

Times are in µs, and rates are so small that every tick is one µs. A history keeps the admitted units, minus those given
back. A strategy that settles must never be more generous than its history.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from traffik import GCRA, FixedWindow, LeakyBucket, SlidingCounter, SlidingWindow, TokenBucket


@dataclass
class Entry:
    """Units admitted at a time."""

    time: int
    units: int


class History:
    """The sliding window log: units count for one period."""

    def __init__(self, strategy, rate):
        self.strategy, self.limit, self.period = strategy, rate.limit, rate.period
        self.entries = []

    def take(self, units, now):
        self.entries.append(Entry(now, units))
        return self.entries[-1]

    def give_back(self, entry, units):
        entry.units -= units

    def give_back_latest(self, units):
        for entry in reversed(self.entries):
            given = min(units, entry.units)
            self.give_back(entry, given)
            units -= given

    def begin_anew(self):
        """Called if no unit is in use, so that the next hit opens a window."""

    def remaining(self, now):
        return max(0, self.limit - self.used(now))

    def used(self, now):
        return sum(entry.units for entry in self.entries if entry.time > now - self.period)


class CellHistory(History):
    """The sliding window of K moments: the units of a cell count from its latest hit."""

    def used(self, now):
        resolution = self.strategy.resolution
        cell = 1 if self.limit <= resolution else -(-self.period // resolution)
        latest = {entry.time // cell: entry.time for entry in self.entries if entry.units}
        return sum(entry.units for entry in self.entries if latest.get(entry.time // cell, 0) > now - self.period)


class WindowHistory(History):
    """Windows that begin with their first hit. While a window has units it keeps its start."""

    def windows(self, now):
        """The start of the window at `now`, its units, and those of the one before."""
        start, current, previous = None, 0, 0
        for entry in [*self.entries, Entry(now, 0)]:
            if start is not None and self.follows and start + self.period <= entry.time < start + 2 * self.period:
                start, current, previous = start + self.period, 0, current
            if start is None or entry.time >= start + self.period:
                start, current, previous = entry.time, 0, 0
            current += entry.units
        return start, current, previous

    follows = False

    def begin_anew(self):
        self.entries = []

    def used(self, now):
        return self.windows(now)[1]


class CounterHistory(WindowHistory):
    """The sliding window counter: the previous window fades out."""

    follows = True

    def remaining(self, now):
        start, current, previous = self.windows(now)
        room = self.limit * self.period - previous * (start + self.period - now) - current * self.period
        return max(0, room // self.period)


class MeterHistory(History):
    """The meter of the bucket strategies: each µs drains p, and a unit is q."""

    def __init__(self, strategy, rate):
        super().__init__(strategy, rate)
        common = gcd(rate.limit, rate.period)
        self.p, self.q = rate.limit // common, rate.period // common
        self.debt = getattr(strategy, "debt", 0)
        self.top = strategy.capacity(rate) * self.q

    def remaining(self, now):
        level, last = 0, 0
        for entry in [*self.entries, Entry(now, 0)]:
            level, last = max(0, level - (entry.time - last) * self.p) + entry.units * self.q, entry.time
        if self.debt and level >= self.top - self.debt * self.q:
            return 0
        return max(0, (self.top - level) // self.q)


def history(strategy, rate):
    """The history that belongs to a strategy."""
    if isinstance(strategy, GCRA | LeakyBucket | TokenBucket):
        return MeterHistory(strategy, rate)
    kinds = {FixedWindow: WindowHistory, SlidingCounter: CounterHistory, SlidingWindow: CellHistory}
    return kinds.get(type(strategy), History)(strategy, rate)
