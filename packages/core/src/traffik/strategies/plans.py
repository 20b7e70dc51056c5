"""A plan: one strategy, prepared for the rates of one limit.

Several rates are one all-or-nothing decision. Each decides on its own part of the state at the same time, and the state
is written only if all of them admit. A strategy without `prepare`, such as a user's own, is called directly. Its states
expire exactly after their ttl in every store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from traffik.model.calendars import CalendarPeriod
from traffik.model.costs import MAX_COST
from traffik.model.decisions import ADMITTED, NEVER, Decision
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError, RateError
from traffik.model.rates import Rate
from traffik.strategies.base import (
    Kernel,
    Prepared,
    Receipt,
    Settled,
    Settler,
    Settling,
    State,
    Strategy,
    Twin,
    Twinned,
    settled,
)
from traffik.strategies.calendar_window import CALENDAR, CalendarWindow
from traffik.strategies.settling import (
    earliest_of,
    prepare_settling,
    settle_parts,
    settle_place,
    take_at_most,
)
from traffik.strategies.turns import Turns, as_one_kernel, matches, period_of

__all__ = ["Plan", "plan"]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A strategy, prepared for its rates.

    Attributes:
        strategy: the algorithm.
        rates: the rates, which all apply; empty if there is no limit.
        strategies: the algorithm for each rate: `strategy`, but `CalendarWindow` for calendar periods.
        kernel: decides on one charge. Pure.
        kernels: the kernels of the single rates.
        settlers: the settlers of the single rates; None if the strategy cannot settle.
        capacity: the largest cost that can ever be admitted.
        ceiling: the largest cost that needs a decision of a store; -1 if there is no limit.
        stats: whether the strategy can decide without consuming.
        twins: the Lua kernels for the rates, in their order; None if the strategy exists only in Python.
        bounds: each rate with the largest cost that it alone can ever admit.
        varying: whether other rates, perhaps more or fewer, may be counted on the same keys.
        turns: reads and makes the states of several rates.
        family: plans of the same family can read each other's states. States of the `siblings` can be converted. A
            state of any other family counts as no state.
    """

    strategy: Strategy
    rates: tuple[Rate, ...]
    strategies: tuple[Strategy, ...]
    kernel: Kernel
    kernels: tuple[Kernel, ...]
    settlers: tuple[Settler, ...] | None
    capacity: int
    ceiling: int
    stats: bool
    twins: tuple[Twin, ...] | None
    bounds: tuple[tuple[int, Rate], ...]
    varying: bool
    turns: Turns
    family: str

    @property
    def several(self) -> bool:
        """Whether its state has a part for each rate; see `traffik.strategies.turns`."""
        return self.varying or len(self.rates) != 1

    @property
    def siblings(self) -> frozenset[str]:
        """The families of plans with the same strategy that have one rate, if this one has several; or the reverse."""
        if not self.several:
            return frozenset([_family(self.strategy, several=True)])
        return frozenset(_family(each, several=False) for each in (self.strategy, CalendarWindow()))

    @property
    def calendar(self) -> bool:
        """Whether it counts calendar periods, so that its times are those of the calendar: µs since 1970."""
        return any(_calendars(self.rates))

    def shifted(self, shift: Callable[[], int]) -> Plan:
        """The same plan with its calendar periods on another clock, which differs by `shift` µs when it is called."""
        calendars = _calendars(self.rates)
        kernels = tuple(
            _shifted(kernel, shift) if calendar else kernel
            for kernel, calendar in zip(self.kernels, calendars, strict=True)
        )
        settlers = self.settlers and tuple(
            _shifted_settler(settler, shift) if calendar else settler
            for settler, calendar in zip(self.settlers, calendars, strict=True)
        )
        turns = Turns(self.rates, self._former_on(shift))
        kernel = as_one_kernel(kernels, turns) if self.several else kernels[0]
        return replace(self, kernel=kernel, kernels=kernels, settlers=settlers, turns=turns)

    def _former_on(self, shift: Callable[[], int]) -> Callable[[Rate], Kernel]:
        def former(rate: Rate) -> Kernel:
            kernel = _former(self.strategy, rate)
            return kernel if rate.calendar is None else _shifted(kernel, shift)

        return former

    def from_sibling(self, state: State) -> State | None:
        """A state of one of the `siblings`, converted for this plan."""
        if self.several:
            return self.turns.adopt(state, CalendarPeriod if state[:1] == (CALENDAR,) else int)
        found: State | None = self.turns.read(state)[0][0]
        return found

    def receipts_from(self, other: Plan, receipts: Sequence[Receipt]) -> tuple[Receipt, ...]:
        """The receipts of a hit that `other` has counted, for each rate that goes on with a count of `other`.

        A rate that does not gets an empty receipt, by which nothing can be given back.
        """
        if type(self.strategy) is not type(other.strategy):
            return ((),) * len(self.rates)
        found, _ = matches([*map(period_of, self.rates)], [*map(period_of, other.rates)])
        return tuple(() if place is None or place >= len(receipts) else receipts[place] for place in found)

    def without_store(self, cost: int) -> Decision:
        """The decision on a cost above the ceiling, without a store: there is no limit, or it can never be admitted.

        Since the state is not read, `remaining` is the capacity, the most that it can be.
        """
        if not self.rates:
            return ADMITTED
        rate = min(self.bounds, key=lambda bound: bound[0])[1]
        return Decision(False, self.capacity, self.capacity, retry_after=NEVER, reset_after=0, rate=rate)

    @property
    def settles(self) -> bool:
        """Whether its strategy can give units back and charge units in any case."""
        return self.settlers is not None

    def receipt(self, before: State | None, after: State) -> tuple[Receipt, ...]:
        """The receipts for `settle` of the admitted hit that changed `before` to `after`, one for each rate.

        Raises:
            ConfigurationError: the strategy cannot settle.
        """
        settlers = self._settlers()
        befores, afters = (self.turns.read(each)[0] if self.several else (each,) for each in (before, after))
        pairs = zip(settlers, befores, afters, strict=True)
        return tuple(() if new is None else settler.receipt(old, new) for settler, old, new in pairs)

    def settle(self, state: State | None, delta: int, receipts: Sequence[Receipt] | None, now: int) -> Settled:
        """Give units back or charge units in any case, for each rate by its own receipt. Pure.

        The decision is that of all rates together. `applied` is the smallest number of units, in size, that were
        applied to a rate.

        Args:
            state: the stored state of the plan, or None.
            delta: the units to charge, or minus the units to give back.
            receipts: the receipts of the hit whose units are given back; None to give back the units taken last.
            now: µs on the store's clock.

        Raises:
            ConfigurationError: the strategy cannot settle.
        """
        settlers = self._settlers()
        if not settlers:
            return Settled(ADMITTED, None, 0, delta)
        if self.several:
            settlement = settle_parts(self.kernels, settlers, self.turns, state, delta, receipts, now)
        else:
            settlement = settle_place(settlers[0], state, delta, receipts, 0, now)
        return settled(self.kernel, state, settlement, now)

    def take_up_to(self, state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int, int]:
        """Take `cost` units, or as many as remain, in one step.

        Returns:
            The decision, the new state or None, its ttl, and the units taken. If no units remain, the decision is a
            refusal with the wait for one unit.
        """
        return take_at_most(self.kernel, state, cost, now)

    def earliest(self, state: State | None, costs: Sequence[int], now: int) -> tuple[int, ...]:
        """µs from `now` until each of the costs, one after the other, is admitted, if there are no other hits.

        `NEVER` for a cost that is not admitted before the year 2255. The following costs are computed without it.
        """
        return earliest_of(self.kernel, state, costs, now)

    def _settlers(self) -> tuple[Settler, ...]:
        if self.settlers is not None:
            return self.settlers
        raise ConfigurationError(
            f"{describe(self.strategy)} can neither give units back nor charge them in any case: "
            f"add the methods receipt and settle of traffik.strategies.Settling, or use a built-in strategy"
        )


def plan(strategy: Strategy, rates: Sequence[Rate], *, varying: bool = False) -> Plan:
    """Prepare `strategy` for `rates`.

    Args:
        strategy: the algorithm.
        rates: the rates, which all apply; if empty, there is no limit.
        varying: whether other rates, perhaps more or fewer, may be counted on the same keys.

    Raises:
        RateError: the strategy cannot count one of them exactly.
        TypeError: `strategy` is not a strategy.
    """
    if isinstance(strategy, type) or not callable(getattr(strategy, "decide", None)):
        example = f"{strategy.__name__}()" if isinstance(strategy, type) else "SlidingWindow()"
        raise TypeError(f"a strategy is an object with a decide method, such as {example}, not {describe(strategy)}")
    strategies = tuple(_strategy_for(strategy, rate) for rate in rates)
    kernels = tuple(map(_prepare, strategies, rates))
    bounds = tuple((_capacity(*pair), pair[1]) for pair in zip(strategies, rates, strict=True))
    capacity = min((bound for bound, _ in bounds), default=MAX_COST)
    counting = strategies[0] if len(rates) == 1 and not varying else strategy
    turns = Turns(rates, lambda rate: _former(strategy, rate))
    return Plan(
        strategy=strategy,
        rates=tuple(rates),
        strategies=strategies,
        kernel=kernels[0] if len(kernels) == 1 and not varying else as_one_kernel(kernels, turns),
        kernels=kernels,
        settlers=_settlers(strategies, rates),
        capacity=capacity,
        ceiling=min(capacity, MAX_COST) if rates else -1,
        stats=bool(getattr(strategy, "stats", True)),
        twins=_twins(strategies, rates) if _has_twins(strategy) else None,
        bounds=bounds,
        varying=varying,
        turns=turns,
        family=_family(counting, several=varying or len(rates) != 1),
    )


def _strategy_for(strategy: Strategy, rate: Rate) -> Strategy:
    """The strategy that counts `rate`."""
    if rate.burst is not None and not getattr(strategy, "bursts", False):
        raise RateError(
            f"{describe(strategy)} has no burst, so it cannot count {str(rate)!r}: give strategy=TokenBucket(), or "
            f"leave the burst out"
        )
    if rate.calendar is None:
        return strategy
    if getattr(strategy, "calendar", True):
        return CalendarWindow()
    raise RateError(f"{describe(strategy)} cannot count the calendar period of {str(rate)!r}: give it a length of time")


def _calendars(rates: Sequence[Rate]) -> tuple[bool, ...]:
    """For each rate, whether its period is one of the calendar."""
    return tuple(rate.calendar is not None for rate in rates)


def _twins(strategies: Sequence[Strategy], rates: Sequence[Rate]) -> tuple[Twin, ...]:
    """The Lua kernels of the rates, for a strategy that has them. `CalendarWindow` has them too."""
    pairs = zip(strategies, rates, strict=True)
    return tuple(strategy.twin(rate) for strategy, rate in pairs if isinstance(strategy, Twinned))


def _former(strategy: Strategy, rate: Rate) -> Kernel:
    """The kernel for a rate that counts no more."""
    counting = _strategy_for(strategy, rate)
    return counting.prepare_former(rate) if isinstance(counting, CalendarWindow) else _prepare(counting, rate)


def _shifted(kernel: Kernel, shift: Callable[[], int]) -> Kernel:
    return lambda state, cost, now: kernel(state, cost, now + shift())


def _shifted_settler(settler: Settler, shift: Callable[[], int]) -> Settler:
    return settler._replace(
        settle=lambda state, delta, receipt, now: settler.settle(state, delta, receipt, now + shift())
    )


def _family(strategy: object, *, several: bool) -> str:
    return f"{type(strategy).__module__}.{type(strategy).__qualname__}:{'*' if several else 1}"


def _has_twins(strategy: Strategy) -> TypeGuard[Twinned]:
    """Whether a strategy also exists in Lua. A subclass that overrides `decide` needs its own twin."""
    return isinstance(strategy, Twinned) and _goes_with(strategy, "twin", {"decide", "prepare"})


def _can_settle(strategy: Strategy) -> TypeGuard[Settling]:
    """Whether a strategy can settle. A subclass that overrides `decide` needs its own `settle`."""
    return isinstance(strategy, Settling) and _goes_with(strategy, "settle", {"decide", "prepare"})


def _settlers(strategies: Sequence[Strategy], rates: Sequence[Rate]) -> tuple[Settler, ...] | None:
    found: list[Settler] = []
    for strategy, rate in zip(strategies, rates, strict=True):
        if not _can_settle(strategy):
            return None
        found.append(prepare_settling(strategy, rate, ahead=_goes_with(strategy, "settler", {"settle", "receipt"})))
    return tuple(found)


def _goes_with(strategy: object, method: str, others: set[str]) -> bool:
    """Whether the class that defines `method` has no subclass that overrides one of the `others`."""
    nearest = next(cls for cls in type(strategy).__mro__ if vars(cls).keys() & {method, *others})
    return method in vars(nearest)


def _capacity(strategy: Strategy, rate: Rate) -> int:
    return strategy.capacity(rate) if isinstance(strategy, Prepared) else MAX_COST


def _prepare(strategy: Strategy, rate: Rate) -> Kernel:
    return strategy.prepare(rate) if isinstance(strategy, Prepared) else _unprepared(strategy, rate)


def _unprepared(strategy: Strategy, rate: Rate) -> Kernel:
    """The kernel of a strategy without `prepare`. A state is a pair: the time when it expires, and its own state."""

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        inner = None if state is None or now >= state[0] else state[1]
        decision, inner, ttl = strategy.decide(inner, rate, cost, now)
        if decision.rate is None:
            decision = decision._replace(rate=rate)
        if inner is None or not decision.allowed:
            return decision, None, 0
        return decision, (now + ttl, inner), ttl

    return kernel
