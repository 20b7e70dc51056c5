"""What settling does to a fixed window, by example."""

from __future__ import annotations

import pytest

from traffik import FixedWindow, Rate

RATE = Rate(6, 60)
STATE = (60, 6010, 3)  # 3 units in the window from 6010 on
NOTHING = (1, 0, 0)


@pytest.mark.parametrize(
    ("delta", "receipt", "now", "expected"),
    [
        (-1, (6010,), 6020, ((60, 6010, 2), 50, -1)),
        (-9, (6010,), 6020, (NOTHING, 0, -3)),
        (-1, (6015,), 6020, (None, 0, 0)),  # another window
        (-1, None, 6069, ((60, 6010, 2), 1, -1)),
        (-1, None, 6070, (None, 0, 0)),  # it has ended
        (-9, None, 6020, (NOTHING, 0, -3)),
        (0, None, 6020, (None, 0, 0)),
        (2, None, 6020, ((60, 6010, 5), 50, 2)),
        (99, None, 6020, ((60, 6010, 12), 50, 9)),  # up to twice the limit
        (-1, None, 5950, ((60, 6010, 2), 120, -1)),  # the clock has gone back
        (-1, None, 5949, ((60, 5949, 2), 60, -1)),  # by more than a period
    ],
)
def test_units_are_settled_exactly(delta, receipt, now, expected):
    settled = FixedWindow().settle(STATE, RATE, delta, receipt, now)
    assert (settled.state, settled.ttl, settled.applied) == expected


def test_units_are_given_back_after_the_rate_has_changed():
    for rate, left in ((Rate(6, 50), 4), (Rate(2, 60), 0)):
        settled = FixedWindow().settle(STATE, rate, -1, (6010,), 6020)
        assert (settled.state, settled.applied, settled.decision.remaining) == ((60, 6010, 2), -1, left)


def test_the_receipt_and_the_twin_have_the_numbers_of_the_window():
    assert FixedWindow().receipt(None, STATE, RATE) == (6010,)
    assert FixedWindow().twin(RATE) == ("fixed_window", (6, 60))
