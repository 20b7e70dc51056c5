"""Hypothesis strategies: strategies with their models, rates they can count, and walks of hits and pauses."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import is_hypothesis_test, settings
from hypothesis import strategies as st

from tests.strategies import models
from traffik import GCRA, FixedWindow, LeakyBucket, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.strategies import Kernel

START = 1_700_000_000_000_000
DAY = 86_400_000_000

STRATEGIES = [
    FixedWindow(),
    SlidingWindow(),
    SlidingWindow(resolution=3),
    SlidingCounter(),
    SlidingLog(),
    TokenBucket(),
    GCRA(burst=1),
    LeakyBucket(burst=3),
    TokenBucket(debt=4),
]

small_rates = st.builds(Rate, st.integers(1, 12), st.integers(1, 60))
usual_rates = st.builds(Rate, st.integers(1, 1000), st.sampled_from([1_000, 1_000_000, 60_000_000, DAY, 7 * DAY]))
coarse_rates = st.sampled_from(
    [Rate(1_000_003, DAY), Rate(10**9 + 7, DAY), Rate(2**31, 7 * DAY), Rate(99_991, 365 * DAY)]
)


def every_strategy(test):
    """Run a test with each strategy. They share most of their code, so each gets only some of the examples."""
    if is_hypothesis_test(test):
        test = settings(max_examples=some_examples())(test)
    return pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)(test)


def some_examples():
    """The number of examples for each of several tests of one property."""
    return max(10, settings.default.max_examples * 2 // 5)


def rates(strategy):
    """Rates of all sizes that `strategy` can count."""
    large = st.nothing() if isinstance(strategy, SlidingLog) else coarse_rates
    return small_rates | usual_rates | large


def model(strategy, rate):
    """The model of `strategy` at `rate`."""
    if isinstance(strategy, TokenBucket):
        return models.Meter(rate, strategy.burst, strategy.debt)
    if isinstance(strategy, GCRA | LeakyBucket):
        return models.Meter(rate, strategy.burst)
    if isinstance(strategy, SlidingWindow):
        return models.SlidingWindow(rate, strategy.resolution)
    return getattr(models, type(strategy).__name__)(rate)


class Step(NamedTuple):
    pause: int
    cost: int


@st.composite
def steps(draw, strategy, rate, most=20):
    """Pauses before hits and their costs, some of them above the capacity."""
    capacity = strategy.capacity(rate)
    a_while = st.integers(0, rate.period // max(1, rate.limit) * 2 + 1)
    pauses = st.just(0) | st.just(1) | a_while | st.integers(0, rate.period) | st.integers(0, 3 * rate.period)
    costs = st.integers(1, min(3, capacity)) | st.integers(1, capacity) | st.just(capacity + 1)
    return draw(st.lists(st.builds(Step, pauses, costs), min_size=1, max_size=most))


class Key:
    """A key that a kernel decides, as a store keeps it."""

    def __init__(self, kernel: Kernel, now: int = START):
        self.kernel = kernel
        self.state = None
        self.now = now
        self.lapses = now

    def ask(self, cost, now=None):
        """The decision on a hit, without counting it."""
        return self.kernel(self.state, cost, self.now if now is None else now)[0]

    def hit(self, cost):
        decision, changed, ttl = self.kernel(self.state, cost, self.now)
        if changed is not None:
            self.state, self.lapses = changed, self.now + ttl
        return decision

    def walk(self, walk):
        """Take all steps; returns the key."""
        for step in walk:
            self.now += step.pause
            self.hit(step.cost)
        return self

    def forget_if_lapsed(self):
        if self.now >= self.lapses:
            self.state = None


@st.composite
def keys(draw, strategy, rate):
    """A key at the end of a walk."""
    return Key(strategy.prepare(rate), START + draw(st.integers(0, rate.period))).walk(draw(steps(strategy, rate)))
