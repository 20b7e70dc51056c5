"""A log with many entries in several blocks, against a deque; and the sizes of states."""

from __future__ import annotations

import random
from collections import deque

import pytest

from traffik import Rate, RateError, SlidingLog, SlidingWindow
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


@pytest.fixture(scope="module")
def long_log():
    """The states of a log after each of 260 hits, one a µs."""
    kernel = SlidingLog().prepare(Rate(300, PERIOD))
    states = [kernel(None, 1, START)[1]]
    for now in range(START + 1, START + 260):
        states.append(kernel(states[-1], 1, now)[1])
    return kernel, states


START = 5_000


def test_a_hit_copies_at_most_one_block_of_the_log(long_log):
    _, states = long_log
    for hits, state in enumerate(states, 1):
        numbers = tuple(number for count in range(1, hits) for number in (START + count - 1, count))
        whole = max(0, len(numbers) - 1) // 64
        blocks = tuple(numbers[64 * place : 64 * place + 64] for place in range(whole))
        older = (START, numbers[64 * whole :], 0, blocks) if whole else numbers or None
        assert state == (PERIOD, 0, START + hits - 1, hits, older)
    assert all(old is new for old, new in zip(states[-2][4][3], states[-1][4][3], strict=True))


def test_a_long_log_waits_for_the_moment_of_each_of_its_units(long_log):
    kernel, states = long_log
    for hits in (64, 65, 66, 97, 98, 260):
        waits = [kernel(states[hits - 1], 300 - hits + unit, START + 400)[0].retry_after for unit in range(1, hits + 1)]
        assert waits == [PERIOD - 400 + unit for unit in range(hits)]


def test_a_long_log_forgets_the_moments_that_have_left_its_window(long_log):
    kernel, states = long_log
    for state in (states[63], states[64], states[259]):
        for gone in range(1, state[3]):
            _, before, last, count, older = kernel(state, 1, START + PERIOD + gone - 1)[1]
            kept = [(START + place, place + 1) for place in range(gone, state[3])]
            assert (before, last, count) == (gone, START + PERIOD + gone - 1, state[3] + 1)
            assert (older[0], flat(older)) == (kept[0][0], kept)


def flat(older):
    """The pairs of a moment and its running count."""
    if isinstance(older[1], tuple):
        _, tail, skip, blocks = older
        older = sum(blocks, ())[skip:] + tail
    return list(zip(older[::2], older[1::2], strict=True))


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


RATE, ZERO = Rate(6, 60), 1_000


def moments_at(*pairs, before=0, era=60):
    """A state with these moments, each with the running count after it."""
    *rest, (last, count) = [(ZERO + at, count) for at, count in pairs]
    return era, before, last, count, tuple(number for pair in rest for number in pair) or None


STATE = moments_at((0, 2), (10, 3), (20, 5))  # hits of 2, 1 and 2 units
SHORTER, LONGER = ((era, *STATE[1:]) for era in (30, 90))  # counted by other periods


def admitted(remaining, reset):
    return True, 6, remaining, 0, reset, RATE, None


def refused(remaining, wait, reset):
    return False, 6, remaining, wait, reset, RATE, None


@pytest.mark.parametrize(
    ("state", "cost", "now", "expected"),
    [
        (None, 0, 0, (admitted(6, 0), moments_at((0, 0)), 0)),
        (None, 6, 0, (admitted(0, 60), moments_at((0, 6)), 60)),
        (None, 7, 0, (refused(6, NEVER, 0), None, 0)),
        (STATE, 0, 25, (admitted(1, 55), STATE, 55)),
        (STATE, 1, 20, (admitted(0, 60), moments_at((0, 2), (10, 3), (20, 6)), 60)),
        (STATE, 1, 25, (admitted(0, 60), moments_at((0, 2), (10, 3), (20, 5), (25, 6)), 60)),
        (STATE, 2, 25, (refused(1, 35, 55), None, 0)),
        (STATE, 3, 25, (refused(1, 35, 55), None, 0)),
        (STATE, 4, 25, (refused(1, 45, 55), None, 0)),
        (STATE, 5, 25, (refused(1, 55, 55), None, 0)),
        (STATE, 6, 25, (refused(1, 55, 55), None, 0)),
        (STATE, 7, 25, (refused(1, NEVER, 55), None, 0)),
        (moments_at((0, 6)), 0, 25, (admitted(0, 35), moments_at((0, 6)), 35)),
        (moments_at((0, 8)), 0, 25, (refused(0, 35, 35), None, 0)),
        # Moments leave the window.
        (STATE, 2, 59, (refused(1, 1, 21), None, 0)),
        (STATE, 1, 60, (admitted(2, 60), moments_at((10, 3), (20, 5), (60, 6), before=2), 60)),
        (STATE, 4, 75, (admitted(0, 60), moments_at((20, 5), (75, 9), before=3), 60)),
        (STATE, 5, 75, (refused(4, 5, 5), None, 0)),
        (STATE, 1, 79, (admitted(3, 60), moments_at((20, 5), (79, 6), before=3), 60)),
        (STATE, 0, 80, (admitted(6, 0), STATE, 0)),
        (STATE, 1, 80, (admitted(5, 60), moments_at((80, 1)), 60)),
        # The clock has gone back.
        (STATE, 0, 10, (admitted(1, 70), STATE, 70)),
        (STATE, 1, 10, (admitted(0, 70), moments_at((0, 2), (10, 3), (20, 6)), 70)),
        (STATE, 2, 10, (refused(1, 50, 70), None, 0)),
        (STATE, 2, -40, (refused(1, 100, 120), None, 0)),
        (STATE, 1, -41, (admitted(0, 60), moments_at((-41, 6)), 60)),
        (STATE, 2, -41, (refused(1, 60, 60), moments_at((-41, 5)), 60)),
        (moments_at((10, 3), (20, 5), before=2), 4, -41, (refused(3, 60, 60), moments_at((-41, 3)), 60)),
        # The period was another one: the shorter of the two counts until a hit is admitted.
        (SHORTER, 2, 25, (refused(1, 5, 25), None, 0)),
        (SHORTER, 1, 25, (admitted(0, 60), moments_at((0, 2), (10, 3), (20, 5), (25, 6)), 60)),
        (SHORTER, 2, 30, (admitted(1, 60), moments_at((10, 3), (20, 5), (30, 7), before=2), 60)),
        (SHORTER, 1, 49, (admitted(3, 60), moments_at((20, 5), (49, 6), before=3), 60)),
        (SHORTER, 1, 50, (admitted(5, 60), moments_at((50, 1)), 60)),
        (SHORTER, 2, -10, (refused(1, 40, 60), None, 0)),
        (SHORTER, 2, -11, (refused(1, 30, 30), moments_at((-11, 5), era=30), 30)),
        (LONGER, 2, 25, (refused(1, 35, 55), None, 0)),
        (LONGER, 2, -41, (refused(1, 60, 60), moments_at((-41, 5), era=90), 90)),
        (LONGER, 1, -41, (admitted(0, 60), moments_at((-41, 6)), 60)),
        (LONGER, 1, 80, (admitted(5, 60), moments_at((80, 1)), 60)),
    ],
)
def test_a_hit_decides_and_changes_the_moments_exactly(state, cost, now, expected):
    for strategy in (SlidingLog(), SlidingWindow()):
        assert strategy.prepare(RATE)(state, cost, ZERO + now) == expected


@pytest.mark.parametrize(
    ("last", "now", "joins"), [(20, 20, True), (20, 39, True), (25, 39, True), (25, 40, False), (39, 40, False)]
)
def test_a_hit_joins_the_last_moment_if_both_are_in_one_cell(last, now, joins):
    state = moments_at((9, 2), (last, 3))  # cells of 20 µs from 1000 on
    changed = SlidingWindow(3).decide(state, RATE, 1, ZERO + now).state
    assert changed == moments_at(*([(9, 2), (now, 4)] if joins else [(9, 2), (last, 3), (now, 4)]))


def test_each_unit_has_its_own_moment_if_the_resolution_allows_it():
    assert [SlidingWindow(cells).twin(RATE).numbers for cells in (5, 6, 7)] == [(6, 60, 12), (6, 60, 1), (6, 60, 1)]


def test_the_largest_numbers():
    assert SlidingWindow(10_000).resolution == 10_000
    assert SlidingLog().capacity(Rate(10_000, 60)) == SlidingLog().prepare(Rate(10_000, 60))(None, 0, 0)[0].limit
    with pytest.raises(RateError, match="at most 10000, not '10001/60us'"):
        SlidingLog().prepare(Rate(10_001, 60))
    assert SlidingWindow().twin(Rate(2**51 - 1, 60)).numbers == (2**51 - 1, 60, 4)
    with pytest.raises(RateError, match="exactly"):
        SlidingWindow().prepare(Rate(2**51, 60))
