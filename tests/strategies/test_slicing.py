"""Which limits can be spent in slices, and how they are counted then. That it is safe, a fleet shows in `backends`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from traffik import GCRA, FixedWindow, Penalty, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.strategies import plan
from traffik.strategies.slicing import slicing_of

SHARE, LIFE = 0.001, 0.002
MINUTE = 60_000_000


@dataclass(frozen=True)
class Own(SlidingWindow):
    """A user's strategy, which may promise anything."""


@dataclass(frozen=True)
class OwnCounter(SlidingCounter):
    """Another one."""


def sliced(strategy, *rates, varying=False):
    return slicing_of(plan(strategy, [Rate.parse(rate) for rate in rates], varying=varying), SHARE, LIFE)


@pytest.mark.parametrize(
    ("strategy", "numbers"),
    [
        (SlidingWindow(), (10_000, MINUTE + 120_000)),
        (SlidingLog(), (10_000, MINUTE + 120_000)),
        (FixedWindow(), (10_000, MINUTE)),
        (SlidingCounter(), (10_000, MINUTE)),
        (TokenBucket(), (1, 6_000, 10_000 - 21)),  # 20 units drain in a life, and less than one in a tick
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_strategy_counts_so_much_more_strictly(strategy, numbers):
    slicing = sliced(strategy, "10000/min")
    assert (slicing.life, slicing.largest) == (120_000, 10)
    assert slicing.plan.twins[0].numbers[: len(numbers)] == numbers
    decision, state, _ = slicing.plan.kernel(None, 1, 0)
    assert (decision.rate, slicing.lasts(decision)) == (Rate.parse("10000/min"), 120_000)
    assert slicing.plan.kernel(state, 1, 0)[0].remaining == decision.remaining - 1


@pytest.mark.parametrize("strategy", [SlidingWindow(), TokenBucket()], ids=str)
def test_the_plan_of_slices_is_one_of_the_whole_limit(strategy):
    rate, made = Rate.parse("10000/min"), sliced(strategy, "10000/min").plan
    assert (made.strategy, made.rates, made.bounds) == (strategy, (rate,), ((made.capacity, rate),))
    assert made.kernels == (made.kernel,)


def test_the_smallest_slice_and_the_shortest_life():
    assert sliced(SlidingWindow(), "2000/min").largest == 2
    assert sliced(SlidingWindow(), "10000/500ms").life == 1000


def test_a_burst_of_the_rate_is_smaller_too():
    slicing = sliced(TokenBucket(), "10000/min burst 5000")
    assert (slicing.largest, slicing.plan.capacity) == (5, 5000 - 11)
    assert slicing.plan.kernel(None, 1, 0)[0].rate == Rate.parse("10000/min burst 5000")


@pytest.mark.parametrize("strategy", [FixedWindow(), SlidingCounter()], ids=str)
def test_a_slice_ends_with_its_window(strategy):
    slicing = sliced(strategy, "10000/min")
    state = slicing.plan.kernel(None, 1, 0)[1]
    decision = slicing.plan.kernel(state, 1, MINUTE - 1000)[0]
    assert 999 <= slicing.lasts(decision) <= 1000


def test_a_slice_of_a_calendar_day_ends_with_it():
    slicing = sliced(SlidingWindow(), "10000/day tz=UTC")
    decision = slicing.plan.kernel(None, 1, 86_400_000_000 - 5)[0]
    assert (slicing.life, slicing.lasts(decision)) == (1_000_000, 5)


@pytest.mark.parametrize(
    ("strategy", "rates"),
    [
        (SlidingWindow(), ["1999/min"]),
        (SlidingWindow(), ["0/min"]),
        (SlidingWindow(), ["10000/400ms"]),
        (SlidingWindow(), ["10000/min", "100000/hour"]),
        (SlidingWindow(), []),
        (GCRA(burst=10), ["10000/min"]),
        (TokenBucket(debt=5), ["10000/min"]),
        (TokenBucket(1), ["10000/min"]),
        (OwnCounter(), ["10000/min"]),
        (Penalty(), ["10000/min"]),
        (Own(), ["10000/min"]),
    ],
    ids=str,
)
def test_other_limits_have_no_slices(strategy, rates):
    assert sliced(strategy, *rates) is None


def test_a_limit_with_a_rate_function_has_no_slices():
    assert sliced(SlidingWindow(), "10000/min", varying=True) is None
