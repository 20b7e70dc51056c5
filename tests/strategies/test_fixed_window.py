"""What hits and settling do to a fixed window, by example."""

from __future__ import annotations

import pytest

from traffik import NEVER, FixedWindow, Rate, RateError

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
        (1, None, 6020, ((60, 6010, 4), 50, 1)),
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


@pytest.mark.parametrize(
    ("rate", "state", "cost", "now", "decision", "changed", "ttl"),
    [
        (RATE, None, 1, 6000, (True, 5, 0, 60), (60, 6000, 1), 60),
        (RATE, None, 0, 6000, (True, 6, 0, 0), (60, 6000, 0), 0),
        (RATE, None, 7, 6000, (False, 6, NEVER, 0), None, 0),
        (RATE, STATE, 3, 6069, (True, 0, 0, 1), (60, 6010, 6), 1),
        (RATE, STATE, 4, 6069, (False, 3, 1, 1), None, 0),
        (RATE, STATE, 7, 6020, (False, 3, NEVER, 50), None, 0),
        (RATE, STATE, 6, 6020, (False, 3, 50, 50), None, 0),
        (RATE, STATE, 1, 6070, (True, 5, 0, 60), (60, 6070, 1), 60),
        (RATE, STATE, 0, 6020, (True, 3, 0, 50), (60, 6010, 3), 50),
        (RATE, STATE, 1, 5950, (True, 2, 0, 120), (60, 6010, 4), 120),
        (RATE, STATE, 1, 5949, (True, 2, 0, 60), (60, 5949, 4), 60),
        (RATE, STATE, 4, 5949, (False, 3, 60, 60), (60, 5949, 3), 60),
        (RATE, STATE, 4, 5950, (False, 3, 120, 120), None, 0),
        (RATE, (60, 6010, 0), 7, 6020, (False, 6, NEVER, 0), None, 0),
        (RATE, (60, 6010, 9), 1, 6020, (False, 0, 50, 50), None, 0),
        (RATE, (60, 6010, 6), 1, 6020, (False, 0, 50, 50), None, 0),
        (Rate(6, 100), STATE, 1, 6020, (True, 2, 0, 90), (100, 6010, 4), 90),
        (Rate(6, 50), STATE, 1, 6020, (True, 2, 0, 50), (50, 6020, 4), 50),
        (Rate(6, 50), STATE, 1, 6012, (True, 2, 0, 50), (50, 6012, 4), 50),
        (Rate(6, 50), STATE, 4, 6020, (False, 3, 50, 50), None, 0),
        (RATE, (60, 6010, 1), 1, 6069, (True, 4, 0, 1), (60, 6010, 2), 1),
        (Rate(6, 50), STATE, 1, 6069, (True, 2, 0, 1), (50, 6020, 4), 1),
    ],
)
def test_a_hit_is_decided_exactly(rate, state, cost, now, decision, changed, ttl):
    made, kept, left = FixedWindow().decide(state, rate, cost, now)
    assert (made.allowed, made.remaining, made.retry_after, made.reset_after) == decision
    assert (made.limit, made.rate, kept, left) == (rate.limit, rate, changed, ttl)


def test_a_window_counts_exactly_up_to_2_to_the_53():
    FixedWindow().prepare(Rate(2**52 - 31, 60))
    with pytest.raises(RateError, match="exactly"):
        FixedWindow().prepare(Rate(2**52 - 30, 60))


def test_a_new_key_has_nothing_to_give_back():
    settled = FixedWindow().settle(None, RATE, -1, None, 6020)
    assert (settled.state, settled.applied, settled.decision.remaining) == (None, 0, 6)
    assert FixedWindow().settle(STATE, RATE, 0, None, 6020).decision.remaining == 3


def test_no_more_than_twice_the_limit_is_charged():
    assert FixedWindow().settle((60, 6010, 12), RATE, 1, None, 6020).applied == 0
