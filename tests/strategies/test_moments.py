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
        (3, None, 20, (moments((0, 2), (10, 3), (20, 8)), 60, 3)),
        (9, None, 20, (moments((0, 2), (10, 3), (20, 12)), 60, 7)),  # up to twice the limit
        (-1, receipt(0), -40, (moments((0, 1), (10, 2), (20, 4)), 120, -1)),  # the clock has gone back
        (-9, None, -41, (NOTHING, 0, -5)),  # by more than a period
        (-1, None, -41, ((60, 0, ZERO - 41, 4, None), 60, -1)),
    ],
)
def test_units_are_settled_exactly(delta, of, now, expected):
    settled = SlidingLog().settle(STATE, RATE, delta, of, ZERO + now)
    assert (settled.state, settled.ttl, settled.applied) == expected


def test_units_of_a_cell_are_given_back_to_its_latest_hit():
    strategy, now = SlidingWindow(3), ZERO + 29  # cells of 20 µs from 1000 on
    state = moments((9, 2), (25, 5))
    assert strategy.settle(state, RATE, -1, (ZERO + 1, 20), now).state == moments((9, 1), (25, 4))
    assert strategy.settle(state, RATE, -1, (ZERO + 21, 20), now).state == moments((9, 2), (25, 4))
    assert strategy.settle(state, RATE, -1, (ZERO + 10, 20), now).applied == 0
    assert strategy.settle(state, RATE, -1, (ZERO + 1, 5), now).applied == 0  # the cells were smaller then


def test_the_twin_has_the_numbers_of_the_rate():
    assert SlidingLog().twin(RATE) == SlidingWindow().twin(RATE) == ("sliding_window", (6, 60, 1))
    assert SlidingWindow(3).twin(Rate(6, 61)) == ("sliding_window", (6, 61, 21))


def test_settling_a_log_in_blocks_changes_the_counts_after_the_hit():
    strategy, rate = SlidingLog(), Rate(300, 10_000)
    kernel, state, model = strategy.prepare(rate), None, []
    for number in range(250):
        _, state, _ = kernel(state, 1, ZERO + number)
        model.append(ZERO + number)
    for at in (0, 31, 32, 33, 64, 200, 217, 249):
        state = strategy.settle(state, rate, -1, receipt(at), ZERO + 250).state
        model.remove(ZERO + at)
    state = strategy.settle(state, rate, -20, None, ZERO + 250).state
    del model[-20:]
    for now in (*range(9_000, 12_000, 97), model[-1] + 10_000):
        used = sum(time > now - 10_000 for time in model)
        assert kernel(state, 0, now)[0].remaining == 300 - used
