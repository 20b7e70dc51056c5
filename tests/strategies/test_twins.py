"""The Lua kernel and the numbers of each strategy, and the twins of a plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import every_strategy, rates
from traffik import (
    GCRA,
    Decision,
    FixedWindow,
    LeakyBucket,
    Rate,
    RateError,
    SlidingCounter,
    SlidingLog,
    SlidingWindow,
    TokenBucket,
)
from traffik.strategies import Transition, Twin, Twinned, plan

MINUTE = Rate(100, 60_000_000)


class PythonOnly:
    """A user's strategy, without a Lua twin."""

    def decide(self, state, rate, cost, now):
        return Transition(Decision(True, rate.limit, 0), None, 0)


@pytest.mark.parametrize(
    ("strategy", "name", "numbers"),
    [
        (FixedWindow(), "fixed_window", (100, 60_000_000)),
        (SlidingWindow(), "sliding_window", (100, 60_000_000, 3_750_000)),
        (SlidingWindow(resolution=100), "sliding_window", (100, 60_000_000, 1)),
        (SlidingLog(), "sliding_window", (100, 60_000_000, 1)),
        (SlidingCounter(), "sliding_counter", (100, 60_000_000, 1)),
        (GCRA(burst=1), "meter", (1, 600_000, 1, 600_000, 1, 101)),
        (LeakyBucket(), "meter", (1, 600_000, 100, 60_000_000, 1, 200)),
        (TokenBucket(2, debt=3), "meter", (1, 600_000, 5, 1_199_999, 1, 5)),
    ],
    ids=repr,
)
def test_a_strategy_names_its_twin(strategy, name, numbers):
    assert strategy.twin(MINUTE) == Twin(name, numbers)


@every_strategy
@given(data=st.data())
def test_its_numbers_are_exact_in_a_double(strategy, data):
    _, numbers = strategy.twin(data.draw(rates(strategy)))
    assert all(type(number) is int and 0 <= number < 2**53 for number in numbers)


@every_strategy
def test_a_plan_carries_a_twin_for_each_rate(strategy):
    assert isinstance(strategy, Twinned)
    assert plan(strategy, [MINUTE, Rate(7, 1000)]).twins == (strategy.twin(MINUTE), strategy.twin(Rate(7, 1000)))


def test_a_users_strategy_has_no_twin():
    assert plan(PythonOnly(), [MINUTE]).twins is None


@every_strategy
def test_a_rate_that_python_cannot_count_exactly_has_no_twin(strategy):
    rate = Rate(2**53 - 1, 604_800_000_001)
    with pytest.raises(RateError):
        strategy.prepare(rate)
    with pytest.raises(RateError):
        strategy.twin(rate)


class Kinder(SlidingWindow):
    """A user's subclass of our strategy that overrides `prepare`."""

    __slots__ = ()

    def prepare(self, rate):
        return SlidingWindow.prepare(self, Rate(rate.limit + 1, rate.period))


class Otherwise(SlidingWindow):
    """A user's subclass of our strategy that overrides `decide`."""

    __slots__ = ()

    def decide(self, state, rate, cost, now):
        return SlidingWindow.decide(self, state, Rate(rate.limit + 1, rate.period), cost, now)


class Renamed(SlidingWindow):
    """A user's subclass of our strategy that overrides nothing."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("strategy", "has"),
    [(Kinder(), False), (Otherwise(), False), (Renamed(), True)],
    ids=["prepares anew", "decides anew", "does not"],
)
def test_a_subclass_that_overrides_decide_does_not_inherit_the_twin(strategy, has):
    assert (plan(strategy, [MINUTE]).twins is not None) is has
