"""The options of token bucket, leaky bucket and GCRA, and debt."""

from __future__ import annotations

import pytest

from tests.walks import START, Key
from traffik import (
    GCRA,
    NEVER,
    FixedWindow,
    LeakyBucket,
    Penalty,
    Rate,
    RateError,
    SlidingCounter,
    SlidingWindow,
    TokenBucket,
)
from traffik.strategies import plan
from traffik.strategies.meter import _exact_units

RATE = Rate(10, 1_000_000)
meters = pytest.mark.parametrize("meter", [GCRA, LeakyBucket, TokenBucket])


@meters
@pytest.mark.parametrize("burst", [1.0, True, "1"])
def test_a_burst_of_another_type_is_refused(meter, burst):
    with pytest.raises(TypeError, match="burst is an integer, not"):
        meter(burst)


@meters
@pytest.mark.parametrize("burst", [0, -1, 2**53])
def test_a_burst_out_of_range_is_refused(meter, burst):
    with pytest.raises(ValueError, match="burst is from 1 to"):
        meter(burst)


@pytest.mark.parametrize("debt", [-1, 2**53])
def test_a_debt_out_of_range_is_refused(debt):
    with pytest.raises(ValueError, match="debt is from 0 to"):
        TokenBucket(debt=debt)


@pytest.mark.parametrize("strategy", [TokenBucket(2**52), SlidingCounter(), FixedWindow()], ids=repr)
def test_a_rate_that_cannot_be_counted_exactly_is_refused(strategy):
    with pytest.raises(RateError, match="exactly"):
        strategy.prepare(Rate(2**53 - 1, 604_800_000_001))


CENTURY = 36_500 * 86_400_000_000


@pytest.mark.parametrize("strategy", [LeakyBucket(2), TokenBucket(debt=1), SlidingCounter()], ids=repr)
def test_a_rate_whose_waits_would_be_too_long_for_exact_numbers_is_refused(strategy):
    with pytest.raises(RateError, match="exactly"):
        strategy.prepare(Rate(1, CENTURY))


def test_a_rate_that_drains_in_a_century_is_counted_exactly():
    assert GCRA().prepare(Rate(1, CENTURY))(None, 1, START)[0].reset_after == CENTURY - START % (CENTURY // 31536)


def test_token_bucket_leaky_bucket_and_gcra_decide_the_same():
    kernels = [meter(5).prepare(RATE) for meter in (GCRA, LeakyBucket, TokenBucket)]
    assert len({kernel(None, 3, START) for kernel in kernels}) == 1


def test_a_burst_of_one_spaces_hits_evenly():
    key = Key(GCRA(burst=1).prepare(RATE))
    assert key.hit(1).reset_after == 100_000
    assert key.ask(1).retry_after == 100_000


@pytest.fixture
def indebted():
    """A bucket of two tokens at ten a second with a debt of up to four."""
    return Key(TokenBucket(2, debt=4).prepare(RATE))


def test_debt_lets_one_hit_overdraw_the_remaining_units(indebted):
    indebted.hit(1)
    assert indebted.hit(5).allowed


def test_in_debt_nothing_is_admitted_until_the_debt_has_drained(indebted):
    indebted.hit(6)
    refused = indebted.ask(1)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert 400_000 < refused.retry_after <= 500_000


def test_an_empty_bucket_cannot_be_overdrawn(indebted):
    indebted.hit(2)
    assert not indebted.ask(1).allowed
    assert indebted.ask(1).retry_after <= 100_000


def test_no_hit_overdraws_by_more_than_the_debt(indebted):
    assert indebted.ask(7).never
    indebted.hit(1)
    assert indebted.ask(6).retry_after == 100_000


@meters
def test_the_burst_of_a_rate_goes_before_that_of_the_strategy(meter):
    rate = Rate.parse("10/s burst 30")
    assert meter(5).capacity(rate) == Key(meter(5).prepare(rate)).hit(30).limit == 30
    assert meter(5).twin(rate) == meter(30).twin(RATE)


@pytest.mark.parametrize("strategy", [SlidingWindow(), FixedWindow(), Penalty()], ids=repr)
def test_a_strategy_without_a_burst_does_not_count_a_rate_with_one(strategy):
    with pytest.raises(RateError, match=r"has no burst, so it cannot count '10/s burst 30': give strategy=TokenBucket"):
        plan(strategy, [Rate.parse("10/s burst 30")])


SIXTH = Rate(6, 14)  # a unit is 7 of a level that sinks by 3 each µs
SLOWER = Rate(6, 20)  # a unit is 10 there
BEFORE, NOW = (7, START, 28), (7, START + 2, 36)  # after a hit of 4, and after one of 2 more
FIRST, SECOND = (START, 7, 45), (START + 2, 7, 45)  # their receipts


@pytest.mark.parametrize(
    ("rate", "state", "delta", "receipt", "expected"),
    [
        (SIXTH, NOW, -4, FIRST, ((7, START + 2, 14), 5, -4)),  # as if there had been only the second hit
        (SIXTH, NOW, -2, SECOND, ((7, START + 2, 22), 8, -2)),
        (SIXTH, NOW, -2, None, ((7, START + 2, 22), 8, -2)),
        (SIXTH, NOW, -9, None, ((7, 0, 0), 0, -6)),  # all that are left
        (SIXTH, BEFORE, -4, None, ((7, 0, 0), 0, -4)),
        (SIXTH, BEFORE, -2, SECOND, (None, 0, 0)),  # the state is older than the hit
        (SIXTH, (7, START + 20, 14), -4, FIRST, (None, 0, 0)),  # the units have drained
        (SIXTH, NOW, 1, None, ((-7, START + 2, 43), 15, 1)),
        (SIXTH, NOW, 3, None, ((-7, START + 2, 57), 19, 3)),  # above the capacity, which a negative unit marks
        (SIXTH, (-7, START + 2, 57), -1, None, ((-7, START + 2, 50), 17, -1)),
        (SIXTH, (-7, START + 2, 57), -3, None, ((7, START + 2, 36), 12, -3)),
        (SLOWER, NOW, -2, SECOND, ((7, START + 2, 22), 11, -2)),
        (SLOWER, (10, START + 2, 44), -4, FIRST, (None, 0, 0)),  # taken at another rate
        (Rate(6, 14, burst=2), NOW, -1, None, (None, 0, 0)),  # still full after giving back
    ],
)
def test_units_are_settled_exactly(rate, state, delta, receipt, expected):
    settled = TokenBucket().settle(state, rate, delta, receipt, max(START + 2, state[1]))
    assert (settled.state, settled.ttl, settled.applied) == expected
    assert all(type(number) is int for number in settled.state or ())


def test_after_the_clock_has_gone_far_back_what_is_left_drains_from_now_on():
    settled = TokenBucket().settle(NOW, SIXTH, -2, SECOND, START - 1000)
    assert (settled.state, settled.ttl, settled.applied) == ((7, START - 1000, 22), 8, -2)


@pytest.mark.parametrize(
    ("rate", "state", "cost", "at", "decision", "changed"),
    [
        (SIXTH, None, 1, 0, (True, 5, 0, 3), (7, START, 7)),
        (SIXTH, None, 6, 0, (True, 0, 0, 14), (7, START, 42)),
        (SIXTH, None, 7, 0, (False, 6, NEVER, 0), None),
        (SIXTH, (7, START, 42), 1, 2, (False, 0, 1, 12), None),
        (SIXTH, (7, START, 42), 1, 3, (True, 0, 0, 14), (7, START + 3, 40)),
        (SIXTH, (7, START, 42), 6, 3, (False, 1, 11, 11), None),
        (SIXTH, (7, START, 7), 1, -14, (True, 4, 0, 19), (7, START, 14)),  # the clock may go back by a full drain
        (SIXTH, (7, START, 7), 1, -15, (True, 4, 0, 5), (7, START - 15, 14)),
        (SIXTH, (7, START, 42), 1, -14, (False, 0, 17, 28), None),
        (SIXTH, (7, START, 42), 1, -15, (False, 0, 3, 14), (7, START - 15, 42)),
        (SIXTH, (7, START, 0), 0, -5, (True, 6, 0, 0), (7, START, 0)),
        (SIXTH, (7, START, 0), 7, -5, (False, 6, NEVER, 0), None),
        (SIXTH, (-7, START, 63), 1, 6, (False, 0, 4, 15), None),
        (SIXTH, (-7, START, 63), 1, 10, (True, 0, 0, 14), (7, START + 10, 40)),
        (SIXTH, (-7, START, 63), 1, -30, (False, 0, 10, 21), (-7, START - 30, 63)),
        (SLOWER, (7, START, 36), 1, 1, (True, 0, 0, 20), (10, START + 1, 52 - 3 + 10)),  # 36 sevenths, rounded up
        (Rate(6, 6), (1, START, 12), 1, 1, (True, 0, 0, 6), (1, START + 1, 6)),  # the capacity was lowered to 6
    ],
)
def test_a_hit_is_decided_exactly(rate, state, cost, at, decision, changed):
    made, kept, ttl = TokenBucket().prepare(rate)(state, cost, START + at)
    assert (made.allowed, made.remaining, made.retry_after, made.reset_after) == decision
    assert (made.limit, made.rate, kept, ttl) == (6, rate, changed, made.reset_after if kept else 0)
    assert all(type(number) is int for number in (*made[1:5], ttl, *(kept or ())))


@pytest.mark.parametrize(
    ("level", "cost", "decision"),
    [
        (0, 8, (True, 0, 0, 19)),
        (0, 9, (False, 8, NEVER, 0)),
        (34, 1, (True, 2, 0, 14)),
        (34, 3, (True, 0, 0, 19)),
        (34, 4, (False, 3, 2, 12)),
        (35, 1, (True, 0, 0, 14)),
        (41, 2, (True, 0, 0, 19)),
        (41, 3, (False, 2, 2, 14)),
        (42, 1, (False, 0, 1, 14)),
        (55, 1, (False, 0, 5, 19)),
    ],
)
def test_a_hit_with_debt_is_decided_exactly(level, cost, decision):
    made, _, _ = TokenBucket(debt=2).prepare(SIXTH)((7, START, level), cost, START)
    assert (made.allowed, made.remaining, made.retry_after, made.reset_after) == decision


def test_a_clock_in_ticks_counts_a_moment_between_two_of_them_as_the_later():
    unit, drain, tick = 864_000, 1_000_000_007, 100_000
    kernel = LeakyBucket().prepare(Rate(drain, 86_400_000_000))
    _, state, _ = kernel((unit, START + 1, 10**12), 1, START + 3 * tick)
    assert state == (unit, START + 3 * tick, 10**12 - 2 * drain + unit)
    assert all(type(number) is int for number in state)
    assert kernel(state, drain + 1, START + 3 * tick)[1:] == (None, 0)


def test_the_clock_is_as_fine_as_exact_numbers_allow():
    ticks = [LeakyBucket(burst)._numbers(Rate(1, 1_000_000))[4] for burst in (2_251_799_813, 2_251_799_814)]
    assert ticks == [1, 10]
    assert LeakyBucket(10)._numbers(Rate(2**53 - 43, 1))[:3] == (2**53 - 43, 1, 10)
    assert TokenBucket(10, debt=1)._numbers(Rate(2**53 - 25, 1))[:3] == (2**53 - 25, 1, 11)
    for strategy, limit, period in (
        *((LeakyBucket(10), 2**53 - 42, 1), (TokenBucket(10, debt=1), 2**53 - 24, 1)),
        (LeakyBucket(3), 2, 3_002_399_751_580_330),  # in ticks of 10 µs the wait would be rounded up to 2**52 µs
    ):
        with pytest.raises(RateError, match="exactly"):
            strategy.prepare(Rate(limit, period))


def test_a_limit_of_0_has_no_capacity():
    assert GCRA().capacity(Rate(0, 60)) == TokenBucket(5, debt=1).capacity(Rate(0, 60)) == 0


@pytest.mark.parametrize(("p", "units"), [(2**41 - 1, 4094), (2**41, 4093)])
def test_no_more_units_are_used_than_exact_numbers_allow(p, units):
    q = 2**40
    assert _exact_units(p, q, 1, 1) == units
    assert 2 * (units + 1) * q + p < 2**53 <= 2 * (units + 2) * q + p
    assert repr(_exact_units(3, 7, 5, 10)) == "386022825203180"


def test_a_receipt_has_the_time_of_the_hit_and_the_numbers_of_the_rate():
    assert TokenBucket().receipt(None, BEFORE, SIXTH) == FIRST
    assert TokenBucket().receipt(BEFORE, NOW, SIXTH) == SECOND


def test_the_twin_has_the_numbers_of_the_rate():
    assert GCRA(5).twin(RATE) == ("meter", (1, 100_000, 5, 500_000, 1, 15))
    assert TokenBucket(5, debt=2).twin(SIXTH) == ("meter", (3, 7, 7, 34, 1, 7))
