"""What settling does to the moments of a sliding window, by example."""

from __future__ import annotations

import pytest

from traffik import Rate, SlidingLog, SlidingWindow

RATE = Rate(6, 60)
ZERO = 1_000


def moments(*older, before=0):
    """A state with these moments, each with the running count after it."""
    *rest, (last, count) = [(ZERO + at, count) for at, count in older]
    return 60, before, last, count, tuple(number for moment in rest for number in moment) or None


STATE = moments((0, 2), (10, 3), (20, 5))  # hits of 2, 1 and 2 units
NOTHING = (60, 0, 0, 0, None)


def receipt(at):
    return (ZERO + at, 1)


@pytest.mark.parametrize(
    ("delta", "of", "now", "expected"),
    [
        (-2, receipt(0), 20, (moments((10, 1), (20, 3)), 60, -2)),
        (-1, receipt(0), 20, (moments((0, 1), (10, 2), (20, 4)), 60, -1)),
        (-3, receipt(0), 20, (moments((10, 1), (20, 3)), 60, -2)),  # no more than its own
        (-1, receipt(10), 20, (moments((0, 2), (20, 4)), 60, -1)),
        (-3, receipt(10), 20, (moments((0, 2), (20, 4)), 60, -1)),
        (-2, receipt(20), 25, (moments((0, 2), (10, 3)), 45, -2)),
        (-1, receipt(20), 25, (moments((0, 2), (10, 3), (20, 4)), 55, -1)),
        (-1, receipt(5), 20, (None, 0, 0)),  # there was no hit
        (-1, receipt(30), 35, (None, 0, 0)),
        (-2, receipt(0), 59, (moments((10, 1), (20, 3)), 21, -2)),
        (-2, receipt(0), 60, (None, 0, 0)),  # it has left the window
        (-1, receipt(10), 60, (moments((20, 4), before=2), 20, -1)),
        (-1, None, 20, (moments((0, 2), (10, 3), (20, 4)), 60, -1)),
        (-2, None, 20, (moments((0, 2), (10, 3)), 50, -2)),
        (-3, None, 20, (moments((0, 2)), 40, -3)),
        (-9, None, 20, (NOTHING, 0, -5)),
        (-9, None, 65, (NOTHING, 0, -3)),
        (-9, None, 80, (None, 0, 0)),
        (0, None, 20, (None, 0, 0)),
        (1, None, 20, (moments((0, 2), (10, 3), (20, 6)), 60, 1)),
        (3, None, 20, (moments((0, 2), (10, 3), (20, 8)), 60, 3)),
        (1, None, 21, (moments((0, 2), (10, 3), (20, 5), (21, 6)), 60, 1)),
        (9, None, 20, (moments((0, 2), (10, 3), (20, 12)), 60, 7)),  # up to twice the limit
        (-1, receipt(0), -40, (moments((0, 1), (10, 2), (20, 4)), 120, -1)),  # the clock has gone back
        (-9, None, -41, (NOTHING, 0, -5)),  # by more than a period
        (-1, None, -41, ((60, 0, ZERO - 41, 4, None), 60, -1)),
    ],
)
def test_units_are_settled_exactly(delta, of, now, expected):
    for strategy in (SlidingLog(), SlidingWindow()):
        settled = strategy.settle(STATE, RATE, delta, of, ZERO + now)
        assert (settled.state, settled.ttl, settled.applied) == expected
        left = strategy.decide(settled.state or STATE, RATE, 0, ZERO + now).decision.remaining
        assert settled.decision.remaining == left


def test_units_of_a_cell_are_given_back_to_its_latest_hit():
    strategy, now = SlidingWindow(3), ZERO + 29  # cells of 20 µs from 1000 on
    state = moments((9, 2), (25, 5))
    assert strategy.settle(state, RATE, -1, (ZERO + 1, 20), now).state == moments((9, 1), (25, 4))
    assert strategy.settle(state, RATE, -1, (ZERO + 21, 20), now).state == moments((9, 2), (25, 4))
    assert strategy.settle(state, RATE, -1, (ZERO + 10, 20), now).applied == 0
    assert strategy.settle(state, RATE, -1, (ZERO + 1, 5), now).applied == 0  # the cells were smaller then


def test_a_new_key_has_nothing_to_give_back():
    assert SlidingLog().settle(None, RATE, -1, None, ZERO).applied == 0


def test_units_that_have_left_the_window_do_not_come_back_with_the_clock():
    settled = SlidingLog().settle(moments((10, 3), (20, 5), before=2), RATE, -1, None, ZERO - 41)
    assert settled.state == (60, 0, ZERO - 41, 2, None)


def test_the_receipt_and_the_twin_have_the_numbers_of_the_window():
    assert SlidingLog().receipt(None, STATE, RATE) == SlidingWindow().receipt(None, STATE, RATE) == receipt(20)
    assert SlidingWindow(3).receipt(None, STATE, RATE) == (ZERO + 20, 20)
    assert SlidingLog().twin(RATE) == SlidingWindow().twin(RATE) == ("sliding_window", (6, 60, 1))
    assert SlidingWindow(3).twin(Rate(6, 61)) == ("sliding_window", (6, 61, 21))


@pytest.mark.parametrize("now", [250, 10_031, 10_100, 10_215])
def test_settling_a_log_in_blocks_gives_back_the_units_of_each_hit(now):
    strategy, rate = SlidingLog(), Rate(300, 10_000)
    kernel, state, hits = strategy.prepare(rate), None, [*range(250)]
    for at in hits:
        _, state, _ = kernel(state, 1, ZERO + at)
    hits = [at for at in hits if at > now - 10_000]
    for at in (0, 31, 32, 33, 64, 150, 200, 217, 249):
        settled = strategy.settle(state, rate, -1, receipt(at), ZERO + now)
        assert settled.applied == (-1 if at in hits else 0)
        state, hits = settled.state or state, [each for each in hits if each != at]
    settled = strategy.settle(state, rate, -20, None, ZERO + now)
    state, hits = settled.state, hits[:-20]
    for later in (*range(now, 10_000, 500), *range(max(now, 10_000), 10_260)):
        used = sum(at > later - 10_000 for at in hits)
        assert kernel(state, 0, ZERO + later)[0].remaining == 300 - used
