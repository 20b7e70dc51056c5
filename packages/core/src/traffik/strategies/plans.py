"""A plan: one strategy made ready for the rates of one limit.

Several rates are one all-or-nothing decision: each is decided on its own part of the state at the same instant, and
the state is written only if all of them admit. A strategy that is not prepared ahead (a user's own) is called as it
is, and its ttl is kept exactly, whatever the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias, TypeGuard

from traffik.model.costs import MAX_COST
from traffik.model.decisions import ADMITTED, NEVER, UNBOUNDED, Decision
from traffik.model.rates import Rate
from traffik.strategies.base import Kernel, Prepared, State, Strategy, Twin, Twinned

__all__ = ["Plan", "plan", "probe"]

_Answer: TypeAlias = tuple[Decision, State | None, int]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A strategy made ready for its rates.

    Attributes:
        strategy: the algorithm.
        rates: what it counts, all at once; empty if nothing limits.
        kernel: decides one charge; pure.
        capacity: the largest cost that can ever be admitted.
        ceiling: the largest cost worth asking a store about; -1 if nothing limits.
        stats: whether decisions can be tried out without being made.
        twins: the Lua kernels for the rates, in their order; None if the strategy exists in Python only.
        bounds: each rate with the largest cost that it alone can ever admit.
        varying: whether other rates, perhaps more or fewer, may be counted on the same keys.
        family: what plans have in common that can read each other's states; a state of another family is no state.
    """

    strategy: Strategy
    rates: tuple[Rate, ...]
    kernel: Kernel
    capacity: int
    ceiling: int
    stats: bool
    twins: tuple[Twin, ...] | None
    bounds: tuple[tuple[int, Rate], ...]
    varying: bool
    family: str

    @property
    def several(self) -> bool:
        """Whether its state is a tuple of one for each rate."""
        return self.varying or len(self.rates) != 1

    def without_store(self, cost: int) -> Decision:
        """The decision about a cost above the ceiling, made without a store: nothing limits, or it can never fit.

        What is left of the key is not looked up, so `remaining` is the capacity: the most that it can be.
        """
        if not self.rates:
            return ADMITTED
        rate = min(self.rates, key=lambda rate: _capacity(self.strategy, rate))
        return Decision(False, self.capacity, self.capacity, retry_after=NEVER, reset_after=0, rate=rate)


def plan(strategy: Strategy, rates: Sequence[Rate], *, varying: bool = False) -> Plan:
    """Make `strategy` ready for `rates`.

    Args:
        strategy: the algorithm.
        rates: what it counts; none means that nothing limits.
        varying: whether other rates, perhaps more or fewer, may be counted on the same keys.

    Raises:
        RateError: the strategy cannot count one of them exactly.
        TypeError: `strategy` is not a strategy.
    """
    if isinstance(strategy, type) or not callable(getattr(strategy, "decide", None)):
        raise TypeError(f"a strategy is an object with a decide method, such as SlidingWindow(), not {strategy!r}")
    kernels = [_prepare(strategy, rate) for rate in rates]
    bounds = tuple((_capacity(strategy, rate), rate) for rate in rates)
    capacity = min((bound for bound, _ in bounds), default=MAX_COST)
    return Plan(
        strategy=strategy,
        rates=tuple(rates),
        kernel=kernels[0] if len(kernels) == 1 and not varying else _together(kernels),
        capacity=capacity,
        ceiling=min(capacity, MAX_COST) if rates else -1,
        stats=bool(getattr(strategy, "stats", True)),
        twins=tuple(strategy.twin(rate) for rate in rates) if _has_twins(strategy) else None,
        bounds=bounds,
        varying=varying,
        family=f"{type(strategy).__module__}.{type(strategy).__qualname__}:{'*' if varying else len(rates)}",
    )


def probe(kernel: Kernel, state: State | None, now: int) -> Decision:
    """What is left, and the wait until one more unit is; changes nothing."""
    decision = kernel(state, 0, now)[0]
    if decision.remaining > 0:
        return decision
    return decision._replace(retry_after=kernel(state, 1, now)[0].retry_after)


def _has_twins(strategy: Strategy) -> TypeGuard[Twinned]:
    """Whether a strategy also exists in Lua: a subclass that decides anew has no twin but one of its own."""
    if not isinstance(strategy, Twinned):
        return False
    nearest = next(cls for cls in type(strategy).__mro__ if vars(cls).keys() & {"decide", "prepare", "twin"})
    return "twin" in vars(nearest)


def _capacity(strategy: Strategy, rate: Rate) -> int:
    return strategy.capacity(rate) if isinstance(strategy, Prepared) else MAX_COST


def _prepare(strategy: Strategy, rate: Rate) -> Kernel:
    return strategy.prepare(rate) if isinstance(strategy, Prepared) else _unprepared(strategy, rate)


def _unprepared(strategy: Strategy, rate: Rate) -> Kernel:
    """The kernel of a strategy that is called as it is; its state stands behind the instant at which it lapses."""

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        inner = None if state is None or now >= state[0] else state[1]
        decision, inner, ttl = strategy.decide(inner, rate, cost, now)
        if decision.rate is None:
            decision = decision._replace(rate=rate)
        if inner is None or not decision.allowed:
            return decision, None, 0
        return decision, (now + ttl, inner), ttl

    return kernel


def _anew(answers: Sequence[_Answer], state: State | None) -> tuple[State | None, int]:
    """What a refusal leaves: the parts that go on from an instant far back, as they do, and the others as they were."""
    parts = [None if decision.allowed else changed for decision, changed, _ in answers]
    if not any(parts):
        return None, 0
    olds = zip_longest(parts, state or ())
    lives = (ttl or decision.reset_after for decision, _, ttl in answers)
    return tuple(old if part is None else part for part, old in olds), max(lives)


def _together(kernels: Sequence[Kernel]) -> Kernel:
    """One kernel for several rates, all or nothing; its state is the tuple of theirs."""
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
    """The refusal that waits longest, and what it leaves of the states."""
    decisions = [decision for decision, _, _ in answers]
    binding = max((each for each in decisions if not each.allowed), key=lambda decision: decision.retry_after)
    # The rates that would have admitted the cost have not taken it.
    remaining = min(decision.remaining + (cost if decision.allowed else 0) for decision in decisions)
    return binding._replace(remaining=remaining), *_anew(answers, state)
