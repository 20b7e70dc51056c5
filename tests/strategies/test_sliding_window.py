"""A log with many entries in several blocks, against a deque; and the sizes of states."""

from __future__ import annotations

import random
from collections import deque

import pytest

from traffik import Rate, SlidingLog, SlidingWindow
from traffik.model.decisions import NEVER

PERIOD = 1000


class Log:
    """The definition: a hit is admitted if its cost and the costs after now - period add up to at most the limit."""

    def __init__(self, limit):
        self.limit = limit
        self.hits = deque()

    def hit(self, cost, now):
        """Hit; whether it is admitted, the quota left, and the wait."""
        while self.hits and self.hits[0][0] <= now - PERIOD:
            self.hits.popleft()
        left = self.limit - sum(taken for _, taken in self.hits)
        if cost <= left:
            self.hits.append((now, cost))
            return True, left - cost, 0
        return False, left, self.wait(cost - left, now) if cost <= self.limit else NEVER

    def wait(self, excess, now):
        for time, taken in self.hits:
            excess -= taken
            if excess <= 0:
                return time + PERIOD - now
        raise AssertionError("a cost within the limit fits once everything has left")


@pytest.mark.parametrize("limit", [1, 31, 32, 33, 100, 1000])
@pytest.mark.parametrize("dearest", [1, 5, 1100])
@pytest.mark.parametrize("pause", [0, 1, 3, 40])
def test_decides_as_a_deque_over_many_hits(limit, dearest, pause):
    chance = random.Random(f"{limit} {dearest} {pause}")
    kernel, log = SlidingLog().prepare(Rate(limit, PERIOD)), Log(limit)
    state, now = None, 0
    for _ in range(1500):
        now += chance.randint(0, pause) if chance.random() < 0.99 else chance.randint(0, 2 * PERIOD)
        cost = chance.randint(1, dearest)
        decision, changed, _ = kernel(state, cost, now)
        assert (decision.allowed, decision.remaining, decision.retry_after) == log.hit(cost, now)
        state = state if changed is None else changed


def test_a_clock_going_back_keeps_a_long_log_in_order():
    kernel = SlidingLog().prepare(Rate(200, PERIOD))
    state = None
    for number in range(200):
        _, state, _ = kernel(state, 1, 10_000 + number)
    assert kernel(state, 1, 10_000)[0].retry_after == PERIOD
    assert kernel(state, 150, 10_000)[0].retry_after == PERIOD + 149
    assert kernel(state, 1, 10_000 + PERIOD)[0].allowed


def test_a_hit_copies_at_most_one_block_of_the_log():
    kernel = SlidingLog().prepare(Rate(10_000, 10**9))
    state = None
    for now in range(5000):
        _, state, _ = kernel(state, 1, now)
    _, tail, _, blocks = state[4]
    _, later, _ = kernel(state, 1, 5000)
    assert len(tail) <= 64
    assert all(old is new for old, new in zip(blocks, later[4][3], strict=True))


def test_a_key_with_one_moment_is_four_integers():
    kernel = SlidingWindow().prepare(Rate(100, PERIOD))
    state = None
    for _ in range(100):
        _, state, _ = kernel(state, 1, 5000)
    assert state == (PERIOD, 0, 5000, 100, None)


@pytest.mark.parametrize("resolution", [1, 2, 16, 100])
@pytest.mark.parametrize("limit", [3, 16, 17, 1000])
def test_a_window_never_has_more_moments_than_its_resolution_and_one(resolution, limit):
    kernel, chance = SlidingWindow(resolution).prepare(Rate(limit, PERIOD)), random.Random(resolution)
    state, most, now = None, 0, 0
    for _ in range(3000):
        now += chance.choice((0, 1, 7, 70))
        _, changed, _ = kernel(state, 1, now)
        state = changed or state
        most = max(most, moments(state[4]))
    assert most <= min(limit, resolution + 1)


def moments(older):
    """The number of moments, the last one included."""
    if older and isinstance(older[1], tuple):
        _, tail, skip, blocks = older
        return (len(tail) + sum(map(len, blocks)) - skip) // 2 + 1
    return len(older or ()) // 2 + 1


@pytest.mark.parametrize("resolution", [0, -1, 10_001, 1.5, True, "16", None], ids=repr)
def test_an_invalid_resolution_is_an_error(resolution):
    with pytest.raises(ValueError, match=f"an integer from 1 to 10000, not {resolution!r}"):
        SlidingWindow(resolution)
