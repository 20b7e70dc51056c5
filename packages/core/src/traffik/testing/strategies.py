"""The contract of strategies: tests for your own strategy."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import islice
from random import Random
from typing import ClassVar, Final, NamedTuple

from traffik.model.decisions import Decision
from traffik.model.rates import Rate
from traffik.strategies import Prepared, Settled, Settling, State, Strategy, Transition

__all__ = ["StrategyContract"]

_WALKS: Final = 20
_STEPS: Final = 25
_EVERY: Final = 7
"""Settling is tested at every so many of the steps."""

_CHARGES: Final = 8
"""Charges of the whole capacity after which no more can be charged."""

_START: Final = 1_700_000_000_000_000
"""A time as stores with wall-clock time have it: µs since the epoch."""


class _Moment(NamedTuple):
    """A state after some hits, a time at which it may be read, and the time at which it has expired."""

    state: State | None
    now: int
    lapses: int


def _settled(moment: _Moment, settled: Settled) -> _Moment:
    """A moment after settling."""
    return moment if settled.state is None else _Moment(settled.state, moment.now, moment.now + settled.ttl)


class StrategyContract:
    """The contract of strategies. Subclass it under a name that begins with ``Test``, and set `strategy`.

    If it can settle (`traffik.strategies.Settling`), that is tested too.

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

    def test_units_given_back_leave_no_more_quota_than_if_they_had_not_been_taken(self) -> None:
        for moment, cost, after, settled in self._given_back():
            assert -cost <= settled.applied <= 0
            for later in (0, self.rate.period // 2, self.rate.period):
                left = self._later(after, 0, after.now + later).remaining
                assert left <= self._later(moment, 0, after.now + later).remaining

    def test_a_refund_without_a_receipt_leaves_no_more_than_the_whole_quota(self) -> None:
        for moment, settling in self._settling_moments():
            for cost in (*self._costs(), 2 * self._capacity()):
                settled = settling.settle(moment.state, self.rate, -cost, None, moment.now)
                assert -cost <= settled.applied <= 0
                left = self._later(_settled(moment, settled), 0, moment.now).remaining
                assert self._later(moment, 0, moment.now).remaining <= left <= self._capacity()

    def test_a_charge_in_any_case_is_bounded_and_wears_off(self) -> None:
        for moment, settling in self._settling_moments():
            now, charged, applied = moment.now, moment, 0
            for _ in range(_CHARGES):
                settled = settling.settle(charged.state, self.rate, self._capacity(), None, now)
                applied = settled.applied
                assert 0 <= applied <= self._capacity()
                charged = _settled(charged, settled)
            assert applied == 0
            assert self._later(charged, 0, now).remaining <= self._later(moment, 0, now).remaining
            wait = self._later(charged, 1, now).retry_after
            assert self._later(charged, 1, now + wait).allowed

    def test_what_is_settled_says_what_remains_and_changes_no_argument(self) -> None:
        for moment, settling in self._settling_moments():
            for units in (-1, 1):
                untouched = deepcopy(moment.state)
                settled = settling.settle(moment.state, self.rate, units, None, moment.now)
                assert settled == settling.settle(untouched, self.rate, units, None, moment.now)
                assert moment.state == untouched
                assert settled.decision.allowed
                left = self._later(_settled(moment, settled), 0, moment.now).remaining
                assert settled.decision.remaining == left

    def _settling_moments(self) -> Iterator[tuple[_Moment, Settling]]:
        """Some of the moments, with the strategy; none if it cannot settle, or its rate admits nothing."""
        if isinstance(self.strategy, Settling) and self._capacity():
            for moment in islice(self._moments(), 0, None, _EVERY):
                yield moment, self.strategy

    def _given_back(self) -> Iterator[tuple[_Moment, int, _Moment, Settled]]:
        """A moment, the cost of a hit at it, the moment at which its units have been given back, and how many were."""
        for moment, settling in self._settling_moments():
            for cost in self._costs():
                decision, taken, ttl = self._ask(moment.state, cost, moment.now)
                for pause in (0, self.rate.period // 3):
                    if decision.allowed and taken is not None and pause < ttl:
                        now = moment.now + pause
                        receipt = settling.receipt(moment.state, taken, self.rate)
                        settled = settling.settle(taken, self.rate, -cost, receipt, now)
                        yield moment, cost, _settled(_Moment(taken, now, moment.now + ttl), settled), settled

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
