"""A plan: one strategy, prepared for the rates of one limit.

Several rates are one all-or-nothing decision. Each decides on its own part of the state at the same time, and the state
is written only if all of them admit. A strategy without `prepare`, such as a user's own, is called directly. Its states
expire exactly after their ttl in every store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias, TypeGuard

from traffik.model.costs import MAX_COST
from traffik.model.decisions import ADMITTED, NEVER, UNBOUNDED, Decision
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
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
from traffik.strategies.settling import (
    earliest_of,
    prepare_settling,
    receipt_of,
    settle_parts,
    settle_place,
    take_at_most,
)

__all__ = ["Plan", "plan"]

_Answer: TypeAlias = tuple[Decision, State | None, int]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A strategy, prepared for its rates.

    Attributes:
        strategy: the algorithm.
        rates: the rates, which all apply; empty if there is no limit.
        kernel: decides on one charge. Pure.
        kernels: the kernels of the single rates.
        settlers: the settlers of the single rates; None if the strategy cannot settle.
        capacity: the largest cost that can ever be admitted.
        ceiling: the largest cost that needs a decision of a store; -1 if there is no limit.
        stats: whether the strategy can decide without consuming.
        twins: the Lua kernels for the rates, in their order; None if the strategy exists only in Python.
        bounds: each rate with the largest cost that it alone can ever admit.
        varying: whether other rates, perhaps more or fewer, may be counted on the same keys.
        family: plans of the same family can read each other's states. States of the `sibling` can be converted. A
            state of any other family counts as no state.
    """

    strategy: Strategy
    rates: tuple[Rate, ...]
    kernel: Kernel
    kernels: tuple[Kernel, ...]
    settlers: tuple[Settler, ...] | None
    capacity: int
    ceiling: int
    stats: bool
    twins: tuple[Twin, ...] | None
    bounds: tuple[tuple[int, Rate], ...]
    varying: bool
    family: str

    @property
    def several(self) -> bool:
        """Whether its state is a tuple with the state of each rate."""
        return self.varying or len(self.rates) != 1

    @property
    def sibling(self) -> str:
        """The family of plans with the same strategy that have one rate, if this one has several; or the reverse."""
        return _family(self.strategy, several=not self.several)

    def from_sibling(self, state: State) -> State | None:
        """A state of the `sibling`, converted for this plan. The one rate corresponds to the first of several."""
        if self.several:
            return (state,)
        found: State | None = state[0] if state else None
        return found

    def without_store(self, cost: int) -> Decision:
        """The decision on a cost above the ceiling, without a store: there is no limit, or it can never be admitted.

        Since the state is not read, `remaining` is the capacity, the most that it can be.
        """
        if not self.rates:
            return ADMITTED
        rate = min(self.rates, key=lambda rate: _capacity(self.strategy, rate))
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
        strategy = self._settling()
        befores, afters = (before or (), after) if self.several else ((before,), (after,))
        pairs = zip((*befores, *(None,) * len(afters)), afters, self.rates, strict=False)
        return tuple(receipt_of(strategy, old, new, rate) for old, new, rate in pairs)

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
        self._settling()
        settlers = self.settlers or ()
        if not settlers:
            return Settled(ADMITTED, None, 0, delta)
        if self.several:
            settlement = settle_parts(self.kernels, settlers, state, delta, receipts, now)
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

    def _settling(self) -> Settling:
        if _can_settle(self.strategy):
            return self.strategy
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
        raise TypeError(
            f"a strategy is an object with a decide method, such as SlidingWindow(), not {describe(strategy)}"
        )
    kernels = tuple(_prepare(strategy, rate) for rate in rates)
    bounds = tuple((_capacity(strategy, rate), rate) for rate in rates)
    capacity = min((bound for bound, _ in bounds), default=MAX_COST)
    return Plan(
        strategy=strategy,
        rates=tuple(rates),
        kernel=kernels[0] if len(kernels) == 1 and not varying else _together(kernels),
        kernels=kernels,
        settlers=_settlers(strategy, rates),
        capacity=capacity,
        ceiling=min(capacity, MAX_COST) if rates else -1,
        stats=bool(getattr(strategy, "stats", True)),
        twins=tuple(strategy.twin(rate) for rate in rates) if _has_twins(strategy) else None,
        bounds=bounds,
        varying=varying,
        family=_family(strategy, several=varying or len(rates) != 1),
    )


def _family(strategy: object, *, several: bool) -> str:
    return f"{type(strategy).__module__}.{type(strategy).__qualname__}:{'*' if several else 1}"


def _has_twins(strategy: Strategy) -> TypeGuard[Twinned]:
    """Whether a strategy also exists in Lua. A subclass that overrides `decide` needs a twin of its own."""
    return isinstance(strategy, Twinned) and _goes_with(strategy, "twin", {"decide", "prepare"})


def _can_settle(strategy: Strategy) -> TypeGuard[Settling]:
    """Whether a strategy can settle. A subclass that overrides `decide` needs a `settle` of its own."""
    return isinstance(strategy, Settling) and _goes_with(strategy, "settle", {"decide", "prepare"})


def _settlers(strategy: Strategy, rates: Sequence[Rate]) -> tuple[Settler, ...] | None:
    if not _can_settle(strategy):
        return None
    ahead = _goes_with(strategy, "settler", {"settle"})
    return tuple(prepare_settling(strategy, rate, ahead=ahead) for rate in rates)


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


def _moved_back(answers: Sequence[_Answer], state: State | None) -> tuple[State | None, int]:
    """The state after a refusal, and its ttl: (None, 0), unless the clock has gone far back and parts start from there.

    The other parts stay as they were.
    """
    parts = [None if decision.allowed else changed for decision, changed, _ in answers]
    if not any(parts):
        return None, 0
    olds = zip_longest(parts, state or ())
    lives = (ttl or decision.reset_after for decision, _, ttl in answers)
    return tuple(old if part is None else part for part, old in olds), max(lives)


def _together(kernels: Sequence[Kernel]) -> Kernel:
    """One kernel for several rates, all or nothing. Its state is a tuple of their states."""
    fresh: State = (None,) * len(kernels)

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        olds = fresh if state is None else state if len(state) >= len(fresh) else (*state, *fresh)
        states: list[State | None] = []
        binding, least, longest = ADMITTED, UNBOUNDED, 0
        for each, old in zip(kernels, olds, strict=False):
            decision, changed, ttl = each(old, cost, now)
            if not decision.allowed:
                answers = [each(old, cost, now) for each, old in zip(kernels, olds, strict=False)]
                return _refused(answers, state, cost)
            states.append(changed)
            remaining = decision.remaining
            if remaining < least:
                binding, least = decision, remaining
            if ttl > longest:
                longest = ttl
        return binding, tuple(states), longest

    return kernel


def _refused(answers: Sequence[_Answer], state: State | None, cost: int) -> _Answer:
    """The refusal with the longest wait, and the state after it."""
    decisions = [decision for decision, _, _ in answers]
    binding = max((each for each in decisions if not each.allowed), key=lambda decision: decision.retry_after)
    # the rates that would have admitted the cost have not been charged
    remaining = min(decision.remaining + (cost if decision.allowed else 0) for decision in decisions)
    return binding._replace(remaining=remaining), *_moved_back(answers, state)
