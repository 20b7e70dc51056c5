"""The contract of strategies: tests for a strategy of your own."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import ClassVar, Final, NamedTuple

from traffik.model.decisions import Decision
from traffik.model.rates import Rate
from traffik.strategies import Prepared, State, Strategy, Transition

__all__ = ["StrategyContract"]

_WALKS: Final = 20
_STEPS: Final = 25
_START: Final = 1_700_000_000_000_000
"""A time as stores with wall-clock time have it: µs since the epoch."""


class _Moment(NamedTuple):
    """A state after some hits, a time at which it may be read, and the time at which it has expired."""

    state: State | None
    now: int
    lapses: int


class StrategyContract:
    """The contract of strategies. Subclass it under a name that begins with ``Test``, and set `strategy`.

    It tries decisions out without keeping them, so it is not for strategies with ``stats = False``.

    Attributes:
        strategy: the strategy to test.
        rate: the rate it counts here. A small limit tests more cases.
    """

    strategy: ClassVar[Strategy]
    rate: ClassVar[Rate] = Rate(5, 10_000_000)

    def test_the_same_arguments_give_the_same_answer(self) -> None:
        for state, now, _ in self._moments():
            for cost in self._costs():
                untouched = deepcopy(state)
                assert self._ask(state, cost, now) == self._ask(untouched, cost, now)
                assert state == untouched

    def test_a_refused_hit_leaves_no_state(self) -> None:
        for state, now, _ in self._moments():
            for cost in self._costs():
                decision, changed, _ = self._ask(state, cost, now)
                assert (changed is not None) == decision.allowed

    def test_a_fresh_key_has_its_whole_capacity(self) -> None:
        capacity = self._capacity()
        assert self._decide(None, 0, _START).remaining == capacity
        assert capacity == 0 or self._decide(None, capacity, _START).allowed

    def test_a_cost_above_the_capacity_is_never_admitted(self) -> None:
        for state, now, _ in self._moments():
            assert self._decide(state, self._capacity() + 1, now).never

    def test_a_cost_within_the_capacity_is_not_refused_for_good(self) -> None:
        for state, now, _ in self._moments():
            assert not any(self._decide(state, cost, now).never for cost in self._costs())

    def test_the_wait_is_exact(self) -> None:
        for moment in self._moments():
            for cost in self._costs():
                decision = self._decide(moment.state, cost, moment.now)
                wait = decision.retry_after
                assert decision.allowed == (wait == 0)
                assert self._later(moment, cost, moment.now + wait).allowed
                assert decision.allowed or not self._later(moment, cost, moment.now + wait - 1).allowed

    def test_what_remains_is_the_largest_cost_that_is_admitted(self) -> None:
        for state, now, _ in self._moments():
            left = self._decide(state, 0, now).remaining
            assert left == 0 or self._decide(state, left, now).allowed
            assert not self._decide(state, left + 1, now).allowed

    def test_a_hit_says_what_remains_after_it(self) -> None:
        for state, now, _ in self._moments():
            for cost in self._costs():
                decision, changed, _ = self._ask(state, cost, now)
                assert decision.remaining == self._decide(changed or state, 0, now).remaining

    def test_the_quota_is_whole_again_when_it_says_so(self) -> None:
        for moment in self._moments():
            reset = self._decide(moment.state, 0, moment.now).reset_after
            assert self._later(moment, 0, moment.now + reset).remaining == self._capacity()

    def test_a_state_means_nothing_once_its_ttl_has_passed(self) -> None:
        for moment in self._moments():
            for later in (moment.lapses, moment.lapses + 1, moment.lapses + self.rate.period):
                for cost in self._costs():
                    assert self._later(moment, cost, later) == self._decide(None, cost, later)

    def test_a_clock_going_back_gives_nothing_back(self) -> None:
        period = self.rate.period
        for state, now, _ in self._moments():
            left = self._decide(state, 0, now).remaining
            for back in (1, period // 2, period, 2 * period + 1, 100 * period):
                assert state is None or self._decide(state, 0, now - back).remaining <= left

    def _ask(self, state: State | None, cost: int, now: int) -> Transition:
        return self.strategy.decide(state, self.rate, cost, now)

    def _decide(self, state: State | None, cost: int, now: int) -> Decision:
        return self._ask(state, cost, now).decision

    def _later(self, moment: _Moment, cost: int, now: int) -> Decision:
        """The decision at a later time, without hits before. Only a prepared strategy gets a state that has expired."""
        lapsed = now >= moment.lapses and not isinstance(self.strategy, Prepared)
        return self._decide(None if lapsed else moment.state, cost, now)

    def _capacity(self) -> int:
        return self._decide(None, 0, _START).limit

    def _costs(self) -> list[int]:
        """Costs to test, all within the capacity."""
        most = self._capacity()
        return sorted({cost for cost in (1, 2, 3, most // 2, most - 1, most) if 0 < cost <= most})

    def _moments(self) -> Iterator[_Moment]:
        """Random walks of hits and pauses, the same at every run."""
        for seed in range(_WALKS):
            chance = Random(seed)
            state, now = None, _START + chance.randrange(self.rate.period)
            lapses = now
            for _ in range(_STEPS):
                yield _Moment(state, now, lapses)
                _, changed, ttl = self._ask(state, chance.choice(self._costs() or [1]), now)
                if changed is not None:
                    state, lapses = changed, now + ttl
                now += chance.choice((0, 1, chance.randrange(self.rate.period), self.rate.period // 3))
                if now >= lapses:
                    state = None
