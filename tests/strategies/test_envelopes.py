"""The most that is admitted in any window, found by trying all sequences of hits with small limits."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import Key, keys, rates
from traffik import GCRA, FixedWindow, LeakyBucket, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket

SMALL = [(1, 1), (1, 3), (2, 2), (2, 4), (2, 5), (3, 3), (3, 4), (3, 6), (4, 5)]
small = pytest.mark.parametrize(("limit", "period"), SMALL)


def most_admitted(strategy, rate, window):
    """The most units admitted in any stretch of `window` µs, over all sequences of hits."""
    kernel = strategy.prepare(rate)
    ways = {(None, (0,) * window)}
    most = 0
    for now in range(4 * rate.period + window):
        ways = {way for state, log in ways for way in futures(kernel, state, log, now)}
        most = max(most, *(sum(log) for _, log in ways))
    return most


def futures(kernel, state, log, now):
    yield state, (*log[1:], 0)
    for cost in range(1, kernel(state, 0, now)[0].remaining + 1):
        yield kernel(state, cost, now)[1], (*log[1:], cost)


@small
def test_fixed_window_admits_twice_the_limit_less_one(limit, period):
    expected = 2 * limit - 1 if period > 1 else limit
    assert most_admitted(FixedWindow(), Rate(limit, period), period) == expected


@small
def test_sliding_counter_admits_at_most_twice_the_limit_less_one(limit, period):
    assert limit <= most_admitted(SlidingCounter(), Rate(limit, period), period) <= 2 * limit - 1


@small
def test_sliding_log_admits_the_limit(limit, period):
    assert most_admitted(SlidingLog(), Rate(limit, period), period) == limit


@small
@pytest.mark.parametrize("resolution", [1, 2, 3, 16])
def test_sliding_window_admits_the_limit(resolution, limit, period):
    assert most_admitted(SlidingWindow(resolution), Rate(limit, period), period) == limit


class Adversary:
    """A client that hits at random times with all of the quota left or a part, and records its admitted units."""

    def __init__(self, strategy, rate, seed):
        self.kernel, self.rate, self.chance = strategy.prepare(rate), rate, random.Random(seed)
        self.state, self.now, self.admitted = None, 0, []

    def hit(self):
        left = self.kernel(self.state, 0, self.now)[0].remaining
        cost = self.chance.choice((1, 1, left, self.chance.randint(1, self.rate.limit)))
        decision, changed, _ = self.kernel(self.state, cost, self.now)
        if decision and cost:
            self.state = changed
            self.admitted.append((self.now, cost))
        return decision

    def run(self, hits):
        period = self.rate.period
        for _ in range(hits):
            wait = self.hit().retry_after
            pauses = (0, 1, wait, max(0, wait - 1), period // 16, period // self.rate.limit, period - 1, period)
            self.now += self.chance.choice(pauses)
        return self

    def most(self):
        """The most units admitted in any window."""
        most = used = first = 0
        for now, cost in self.admitted:
            used += cost
            while self.admitted[first][0] <= now - self.rate.period:
                used -= self.admitted[first][1]
                first += 1
            most = max(most, used)
        return most


@pytest.mark.parametrize("limit", [5, 10, 16, 17, 100, 1000, 10**12])
@pytest.mark.parametrize("strategy", [SlidingWindow(), SlidingWindow(resolution=2), SlidingWindow(50)], ids=repr)
def test_no_adversary_gets_more_than_the_limit_out_of_a_sliding_window(strategy, limit):
    rates = [Rate(limit, 1_000_000), Rate(limit, 1_009)]
    most = [Adversary(strategy, rate, seed).run(1000).most() for rate in rates for seed in range(5)]
    assert max(most) == limit


@given(data=st.data())
def test_no_wait_of_a_sliding_window_is_longer_than_the_window(data):
    strategy = SlidingWindow(data.draw(st.integers(1, 40)))
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    assert key.ask(data.draw(st.integers(1, rate.limit))).retry_after <= rate.period


def polled(strategy, rate, pause):
    """The units of a client in a hundred windows, which hits every `pause` µs and ignores waits."""
    key = Key(strategy.prepare(rate), 0)
    admitted = 0
    for key.now in range(0, 100 * rate.period, pause):
        admitted += key.hit(1).allowed
    return admitted


@pytest.mark.parametrize("limit", [1, 2, 10, 17, 50, 100])
@pytest.mark.parametrize("resolution", [2, 4, 16])
@pytest.mark.parametrize("part", [7, 16, 17, 50, 301])
def test_a_polling_client_gets_nearly_as_much_as_from_a_log(resolution, limit, part):
    rate = Rate(limit, 1_000_000)
    given_by_log = polled(SlidingLog(), rate, rate.period // part)
    share = polled(SlidingWindow(resolution), rate, rate.period // part) / given_by_log
    assert resolution / (resolution + 1) <= share <= 1


@small
@pytest.mark.parametrize("burst", [1, 2, 3])
@pytest.mark.parametrize("strategy", [TokenBucket, GCRA, LeakyBucket])
def test_meters_admit_the_burst_and_the_drained_units(strategy, burst, limit, period):
    most = most_admitted(strategy(burst), Rate(limit, period), period)
    bound = burst + limit - 1
    assert most == bound if period % limit == 0 else bound - 1 <= most <= bound


@pytest.mark.parametrize("window", [1, 2, 3, 4, 6, 9])
def test_meters_admit_the_burst_and_the_drained_units_in_any_time_span(window):
    rate = Rate(2, 4)
    assert most_admitted(TokenBucket(2), rate, window) == 2 + -(-rate.limit * window // rate.period) - 1


def test_the_bound_is_larger_by_the_debt():
    assert most_admitted(TokenBucket(2, debt=1), Rate(2, 4), 4) <= 2 + 1 + 2 - 1


def test_an_adversary_gets_almost_twice_the_limit_out_of_a_sliding_counter():
    limit, period = 100, 1_000_000
    kernel = SlidingCounter().prepare(Rate(limit, period))
    # One hit opens the first window. The others come just before its end and fade out in the second.
    _, state, _ = kernel(None, 1, 0)
    admitted = 0
    for now in range(period - 1000, 2 * period - 1000, 1000):
        left = kernel(state, 0, now)[0].remaining
        if left:
            admitted += left
            state = kernel(state, left, now)[1]
    assert limit < admitted <= 2 * limit - 1


@pytest.mark.parametrize("strategy", [FixedWindow(), SlidingWindow(), SlidingCounter(), SlidingLog()], ids=repr)
def test_the_first_window_admits_exactly_the_limit(strategy):
    kernel = strategy.prepare(Rate(10, 1000))
    state, admitted = None, 0
    for now in range(1000):
        decision, changed, _ = kernel(state, 1, now)
        state = changed or state
        admitted += decision.allowed
    assert admitted == 10


def test_a_sliding_counter_does_not_jump_at_a_boundary():
    kernel = SlidingCounter().prepare(Rate(100, 1000))
    _, state, _ = kernel(None, 100, 0)
    left = [kernel(state, 0, now)[0].remaining for now in range(990, 1020, 10)]
    assert left == [0, 0, 1]
