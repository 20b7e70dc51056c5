"""Promise 23: the default strategy admits exactly the limit."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import Limiter, Rate, SlidingWindow
from traffik.backends.inmemory import InMemoryBackend

PERIOD = 60_000_000
START = 1_700_000_000_000_000
rates = st.builds(Rate, st.integers(1, 200), st.integers(1, 5_000))


class Key:
    """A key of the default strategy under one rate."""

    def __init__(self, rate, resolution=16):
        self.kernel = SlidingWindow(resolution).prepare(rate)
        self.state, self.now = None, START

    def hit(self, cost=1):
        decision, changed, _ = self.kernel(self.state, cost, self.now)
        self.state = self.state if changed is None else changed
        return decision


@pytest.mark.parametrize("limit", range(1, 101))
def test_a_client_that_waits_as_told_gets_exactly_the_limit_in_every_window(limit):
    key, admitted = Key(Rate(limit, PERIOD)), 0
    while key.now < START + 1_000 * PERIOD:
        decision = key.hit()
        admitted += decision.allowed
        key.now += decision.retry_after
    assert admitted == 1_000 * limit


@given(rates, st.lists(st.tuples(st.integers(0, 400), st.integers(1, 250)), max_size=60), st.integers(1, 20))
def test_no_window_holds_more_than_the_limit_and_no_wait_is_longer_than_it(rate, steps, resolution):
    key, hits = Key(rate, resolution), deque()
    for pause, cost in steps:
        key.now += pause * rate.period // 100
        decision = key.hit(cost)
        assert cost > rate.limit or decision.retry_after <= rate.period
        if decision.allowed:
            hits.append((key.now, cost))
        while hits and hits[0][0] <= key.now - rate.period:
            hits.popleft()
        assert sum(taken for _, taken in hits) <= rate.limit


@given(rates, st.lists(st.tuples(st.integers(0, 150), st.integers(1, 60)), max_size=60), st.data())
def test_every_wait_is_exact_for_every_cost_up_to_the_limit(rate, steps, data):
    key = Key(rate)
    for pause, cost in steps:
        key.now += pause * rate.period // 100
        key.hit(cost)
    wait = key.kernel(key.state, cost := data.draw(st.integers(1, rate.limit)), key.now)[0].retry_after
    assert key.kernel(key.state, cost, key.now + wait)[0].allowed
    assert not wait or not key.kernel(key.state, cost, key.now + wait - 1)[0].allowed


@pytest.mark.parametrize("limit", [1, 16, 17, 1_000_000])
def test_a_key_remembers_at_most_one_moment_more_than_the_resolution(limit):
    key = Key(Rate(limit, PERIOD))
    for _ in range(5_000):
        key.hit()
        key.now += PERIOD // 997
        assert 1 + len(key.state[4] or ()) // 2 <= min(limit, 17)


def test_the_sliding_window_is_the_default():
    limiter = Limiter("window", "1/min", backend=InMemoryBackend())
    assert limiter.strategy == SlidingWindow(resolution=16)
    assert [limiter.sync.hit("ada").wait_seconds for _ in range(2)] == [0, 60]
