"""What hits and settling do to the counts of a sliding counter, by example."""

from __future__ import annotations

import pytest

from traffik import NEVER, Rate, RateError, SlidingCounter

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
        (STATE, 1, None, 6070, ((60, 6060, 3, 3), 110, 1)),
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


@pytest.mark.parametrize(
    ("rate", "state", "cost", "now", "decision", "changed", "ttl"),
    [
        (RATE, None, 1, 6060, (True, 5, 0, 120), (60, 6060, 1, 0), 120),
        (RATE, None, 0, 6060, (True, 6, 0, 0), (60, 6060, 0, 0), 0),
        (RATE, None, 6, 6060, (True, 0, 0, 120), (60, 6060, 6, 0), 120),
        (RATE, None, 7, 6060, (False, 6, NEVER, 0), None, 0),
        (RATE, STATE, 1, 6070, (True, 0, 0, 110), (60, 6060, 3, 3), 110),
        (RATE, STATE, 2, 6070, (False, 1, 10, 110), None, 0),
        (RATE, STATE, 0, 6070, (True, 1, 0, 110), (60, 6060, 2, 3), 110),
        (RATE, STATE, 4, 6070, (False, 1, 50, 110), None, 0),
        (RATE, STATE, 5, 6070, (False, 1, 80, 110), None, 0),
        (RATE, STATE, 7, 6070, (False, 1, NEVER, 110), None, 0),
        (RATE, STATE, 2, 6119, (True, 1, 0, 61), (60, 6060, 4, 3), 61),
        (RATE, STATE, 3, 6119, (True, 0, 0, 61), (60, 6060, 5, 3), 61),
        (RATE, STATE, 1, 6120, (True, 3, 0, 120), (60, 6120, 1, 2), 120),
        (RATE, STATE, 5, 6130, (False, 4, 20, 50), None, 0),
        (RATE, STATE, 6, 6150, (False, 5, 30, 30), None, 0),
        (RATE, STATE, 1, 6179, (True, 4, 0, 61), (60, 6120, 1, 2), 61),
        (RATE, STATE, 6, 6180, (True, 0, 0, 120), (60, 6180, 6, 0), 120),
        (RATE, STATE, 1, 6060, (True, 0, 0, 120), (60, 6060, 3, 3), 120),
        (RATE, STATE, 1, 6050, (True, 0, 0, 130), (60, 6060, 3, 3), 130),
        (RATE, STATE, 2, 6050, (False, 1, 30, 130), None, 0),
        (RATE, STATE, 1, 6000, (True, 0, 0, 180), (60, 6060, 3, 3), 180),
        (RATE, STATE, 1, 5999, (True, 0, 0, 120), (60, 5999, 3, 3), 120),
        (RATE, (60, 6060, 0, 3), 4, 6070, (False, 3, 10, 50), None, 0),
        (RATE, (60, 6060, 0, 0), 7, 6070, (False, 6, NEVER, 0), None, 0),
        (RATE, (60, 6060, 6, 0), 1, 6070, (False, 0, 60, 110), None, 0),
        (RATE, (60, 6060, 6, 3), 1, 5999, (False, 0, 70, 120), (60, 5999, 6, 3), 120),
        (RATE, (60, 6060, 9, 8), 1, 6100, (False, 0, 30, 80), None, 0),
        (RATE, ABOVE, 1, 6100, (False, 0, 47, 80), None, 0),
        (LOWER, STATE, 1, 6070, (False, 0, 80, 110), None, 0),
        (Rate(6, 50), STATE, 1, 6070, (True, 0, 0, 100), (50, 6070, 1, 5), 100),
        (Rate(6, 100), STATE, 1, 6070, (True, 0, 0, 200), (100, 6070, 1, 5), 200),
        (Rate(6, 50), (60, 6060, 0, 0), 1, 6070, (True, 5, 0, 100), (50, 6070, 1, 0), 100),
        (Rate(6, 50), STATE, 0, 6070, (True, 1, 0, 110), (60, 6060, 2, 3), 110),
        (Rate(6, 50), STATE, 5, 6070, (False, 1, 80, 110), None, 0),
        (Rate(8, 60), (60, 6060, 1, 7), 2, 6070, (False, 1, 8, 110), None, 0),
        (Rate(2, 50), (60, 6060, 5, 0), 1, 6070, (False, 0, 80, 110), None, 0),
        (LOWER, (-60, 6060, 9, 0), 1, 6070, (False, 0, 95, 110), None, 0),
        (RATE, (60, 6060, 9, 3), 1, 6100, (False, 0, 30, 80), None, 0),
        (RATE, (60, 6060, 2, 8), 2, 6100, (True, 0, 0, 80), (60, 6060, 4, 6), 80),
        (Rate(6, 50), (60, 6060, 2, 0), 1, 6070, (True, 3, 0, 100), (50, 6070, 1, 2), 100),
        (Rate(6, 50), (60, 6060, 0, 2), 1, 6070, (True, 3, 0, 100), (50, 6070, 1, 2), 100),
    ],
)
def test_a_hit_is_decided_exactly(rate, state, cost, now, decision, changed, ttl):
    made, kept, left = SlidingCounter().decide(state, rate, cost, now)
    assert (made.allowed, made.remaining, made.retry_after, made.reset_after) == decision
    assert (made.limit, made.rate, kept, left) == (rate.limit, rate, changed, ttl)
    assert all(type(number) is int for number in (*made[1:5], left, *(kept or ())))


def test_a_new_key_has_nothing_to_give_back():
    settled = SlidingCounter().settle(None, RATE, -1, None, 6070)
    assert (settled.state, settled.applied, settled.decision.remaining) == (None, 0, 6)
    assert SlidingCounter().settle(STATE, RATE, 0, None, 6070).decision.remaining == 1


DAY, START = 86_400_000_000, 10**15
COARSE = Rate(10**9, DAY)  # in ticks of 0.1 s
HALF = (DAY, START, 500_000_000, 400_000_000)


@pytest.mark.parametrize(
    ("state", "cost", "at", "decision", "changed", "ttl"),
    [
        (None, 1, 123, (True, 999999999, 0, 172799999877), (DAY, START, 1, 0), 172799999877),
        (
            HALF,
            100000000,
            43200000123,
            (True, 200000000, 0, 129599999877),
            (DAY, START, 600000000, 400000000),
            129599999877,
        ),
        (HALF, 400000000, 43200000123, (False, 300000000, 21599999877, 129599999877), None, 0),
        (HALF, 700000000, 123456, (False, 100000462, 120959876544, 172799876544), None, 0),
        (
            HALF,
            1,
            86400123456,
            (True, 500000577, 0, 172799876544),
            (DAY, START + 86400000000, 1, 500000000),
            172799876544,
        ),
        (HALF, 1, -123456, (True, 99999999, 0, 172800123456), (DAY, START, 500000001, 400000000), 172800123456),
        (HALF, 400000000, -123456, (False, 100000000, 64800123456, 172800123456), None, 0),
        (
            (60000000, START, 5, 0),
            1,
            30000123,
            (True, 999999994, 0, 172800000000),
            (DAY, START + 30000123, 1, 5),
            172800000000,
        ),
        (
            (60000000, START, 0, 0),
            1,
            30000123,
            (True, 999999999, 0, 172799999877),
            (DAY, START + 30000000, 1, 0),
            172799999877,
        ),
        ((60000000, START, 10**9, 0), 1, 30000123, (False, 0, 29999878, 89999877), None, 0),  # in µs, as before
        ((-DAY, START, 1100000000, 0), 1, 123456, (False, 0, 94254476544, 172799876544), None, 0),
    ],
)
def test_a_hit_is_decided_in_ticks(state, cost, at, decision, changed, ttl):
    made, kept, left = SlidingCounter().decide(state, COARSE, cost, START + at)
    assert (made.allowed, made.remaining, made.retry_after, made.reset_after, kept, left) == (*decision, changed, ttl)
    assert all(type(number) is int for number in (*made[1:5], left, *(kept or ())))


def test_a_count_is_marked_only_above_the_limit():
    strategy = SlidingCounter()
    assert strategy.settle(STATE, RATE, 4, None, 6070).state == (60, 6060, 6, 3)
    assert strategy.settle((60, 6060, 2, 6), RATE, 1, None, 6070).state == (60, 6060, 3, 6)
    assert strategy.settle((60, 6060, 5, 0), LOWER, -1, None, 6070).state == (60, 6060, 4, 0)
    assert strategy.settle((-60, 6060, 12, 0), RATE, 1, None, 6070).applied == 0


def test_the_clock_is_as_fine_as_exact_numbers_allow():
    rates = Rate(3_002_399_751, 10**6), Rate(3_002_399_752, 10**6), Rate(1, 3_002_399_751_580_330)
    assert [SlidingCounter().twin(rate).numbers[2] for rate in rates] == [1, 10, 1]
    for rate in (Rate(1, 3_002_399_751_580_340), Rate(2**53 - 1, 604_800_000_001)):
        with pytest.raises(RateError, match="exactly"):
            SlidingCounter().prepare(rate)
