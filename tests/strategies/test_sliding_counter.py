"""What settling does to the counts of a sliding counter, by example."""

from __future__ import annotations

import pytest

from traffik import Rate, SlidingCounter

RATE, LOWER = Rate(6, 60), Rate(2, 60)
STATE = (60, 6060, 2, 3)  # 2 units in the window from 6060 on, and 3 in the one before
ABOVE = (-60, 6060, 9, 3)  # charged above the limit, which a negative period marks
NOTHING = (1, 0, 0, 0)
CURRENT, PREVIOUS = (6060, 60, 6), (6000, 60, 6)  # receipts


@pytest.mark.parametrize(
    ("state", "delta", "receipt", "now", "expected"),
    [
        (STATE, -1, CURRENT, 6070, ((60, 6060, 1, 3), 110, -1)),
        (STATE, -9, CURRENT, 6070, ((60, 6060, 0, 3), 50, -2)),
        (STATE, -1, PREVIOUS, 6070, ((60, 6060, 2, 2), 110, -1)),
        (STATE, -9, PREVIOUS, 6070, ((60, 6060, 2, 0), 110, -3)),
        (STATE, -1, None, 6070, ((60, 6060, 1, 3), 110, -1)),
        (STATE, -4, None, 6070, ((60, 6060, 0, 1), 50, -4)),  # the latest first
        (STATE, -9, None, 6070, (NOTHING, 0, -5)),
        (STATE, -1, PREVIOUS, 6119, ((60, 6060, 2, 2), 61, -1)),
        (STATE, -1, PREVIOUS, 6120, (None, 0, 0)),  # its window counts no more
        (STATE, -1, CURRENT, 6130, ((60, 6060, 1, 3), 50, -1)),
        (STATE, -2, CURRENT, 6179, (NOTHING, 0, -2)),
        (STATE, -2, CURRENT, 6180, (None, 0, 0)),
        (STATE, -9, None, 6130, (NOTHING, 0, -2)),
        (STATE, 0, None, 6070, (None, 0, 0)),
        (STATE, 2, None, 6070, ((60, 6060, 4, 3), 110, 2)),
        (STATE, 99, None, 6070, ((-60, 6060, 9, 3), 110, 7)),  # up to twice the limit
        (STATE, -1, (6030, 60, 6), 6070, (None, 0, 0)),  # another window
        (STATE, -1, (6060, 30, 6), 6070, (None, 0, 0)),  # another period
        (STATE, -1, (6060, 60, 9), 6070, ((60, 6060, 1, 3), 110, -1)),
        (ABOVE, -1, CURRENT, 6070, ((-60, 6060, 8, 3), 110, -1)),
        (ABOVE, -5, None, 6070, ((60, 6060, 4, 3), 110, -5)),
        (ABOVE, -1, (6060, 60, 9), 6070, (None, 0, 0)),  # may have been cut when the limit was lowered
    ],
)
def test_units_are_settled_exactly(state, delta, receipt, now, expected):
    settled = SlidingCounter().settle(state, RATE, delta, receipt, now)
    assert (settled.state, settled.ttl, settled.applied) == expected


def test_a_count_that_may_have_been_cut_is_not_given_back():
    assert SlidingCounter().settle(STATE, LOWER, -1, CURRENT, 6070).applied == 0
    assert SlidingCounter().settle(STATE, LOWER, -1, PREVIOUS, 6070).state == (60, 6060, 2, 2)


def test_the_receipt_and_the_twin_have_the_numbers_of_the_rate():
    assert SlidingCounter().receipt(None, STATE, RATE) == CURRENT
    assert SlidingCounter().twin(RATE) == ("sliding_counter", (6, 60, 1))
    assert SlidingCounter().twin(Rate(10**9, 86_400_000_000)) == ("sliding_counter", (10**9, 86_400_000_000, 100_000))
