"""Functions of plans besides deciding: settle several rates, take up to a number of units, foresee admissions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from traffik.model.decisions import NEVER, Decision
from traffik.model.rates import Rate
from traffik.strategies.base import (
    EXACT,
    UNCHANGED,
    Kernel,
    Prepared,
    PreparedSettling,
    Receipt,
    Settlement,
    Settler,
    Settling,
    State,
    lasts,
)
from traffik.strategies.turns import Turns

__all__ = ["earliest_of", "prepare_settling", "settle_parts", "settle_place", "take_at_most"]

_ATTEMPTS: Final = 10
"""How many times to decide on a cost that waits as told. Two are enough, unless the clock has gone far back."""


def prepare_settling(strategy: Settling, rate: Rate, *, ahead: bool) -> Settler:
    """The settler of `strategy` for `rate`. With `ahead`, the strategy may prepare it."""
    if ahead and isinstance(strategy, PreparedSettling):
        return strategy.settler(rate)
    if not isinstance(strategy, Prepared):
        return _unprepared(strategy, rate)
    return Settler(
        lambda before, after: strategy.receipt(before, after, rate),
        lambda state, delta, receipt, now: strategy.settle(state, rate, delta, receipt, now)[1:],
    )


def _unprepared(strategy: Settling, rate: Rate) -> Settler:
    """The settler of a strategy without `prepare`. A state is a pair: the time when it expires, and its own state."""

    def receipt_of(before: State | None, after: State) -> Receipt:
        return strategy.receipt(before and before[1], after[1], rate)

    def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
        inner = None if state is None or now >= state[0] else state[1]
        _, changed, ttl, applied = strategy.settle(inner, rate, delta, receipt, now)
        return (None if changed is None else (now + ttl, changed)), ttl, applied

    return Settler(receipt_of, settle)


def settle_place(
    settler: Settler, state: State | None, delta: int, receipts: Sequence[Receipt] | None, place: int, now: int
) -> Settlement:
    """Settle one rate by its own receipt. If the hit was not counted by this rate, there is nothing to give back."""
    if receipts is None:
        return settler.settle(state, delta, None, now)
    if place < len(receipts) and (receipts[place] or delta > 0):
        return settler.settle(state, delta, receipts[place], now)
    return settler.settle(state, delta, None, now) if delta > 0 else UNCHANGED


def settle_parts(
    kernels: Sequence[Kernel],
    settlers: Sequence[Settler],
    turns: Turns,
    state: State | None,
    delta: int,
    receipts: Sequence[Receipt] | None,
    now: int,
) -> Settlement:
    """Settle several rates, each on its own part of the state. Former rates are charged, but given nothing back."""
    olds, former = turns.read(state)
    found = [settle_place(settler, olds[at], delta, receipts, at, now) for at, settler in enumerate(settlers)]
    applied = min((each[2] for each in found), key=abs)
    if all(changed is None for changed, _, _ in found):
        return None, 0, applied
    lives = [
        ttl if changed is not None else lasts(kernel, old, now)
        for kernel, old, (changed, ttl, _) in zip(kernels, olds, found, strict=True)
    ]
    kept, longest = turns.charged(former, max(delta, 0), now)
    parts = (old if changed is None else changed for old, (changed, _, _) in zip(olds, found, strict=True))
    return (turns.text, kept, *parts), max(*lives, longest), applied


def take_at_most(kernel: Kernel, state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int, int]:
    """Take `cost` units, or as many as remain. Returns the decision, the new state, its ttl, and the units taken."""
    units = min(cost, max(1, kernel(state, 0, now)[0].remaining))
    decision, changed, ttl = kernel(state, units, now)
    return decision, changed, ttl, units if decision.allowed else 0


def earliest_of(kernel: Kernel, state: State | None, costs: Sequence[int], now: int) -> tuple[int, ...]:
    """µs from `now` until each of the costs is admitted, one after the other; `NEVER` if not before the year 2255."""
    waits: list[int] = []
    time = now
    for cost in costs:
        admitted = _next_admission(kernel, state, cost, time)
        if admitted is not None:
            state, time = admitted
        waits.append(NEVER if admitted is None else time - now)
    return tuple(waits)


def _next_admission(kernel: Kernel, state: State | None, cost: int, time: int) -> tuple[State | None, int] | None:
    """The state after a cost that waits from `time` until it is admitted, and that time; None if it never is."""
    for _ in range(_ATTEMPTS):
        decision, changed, _ = kernel(state, cost, time)
        state = state if changed is None else changed
        if decision.allowed:
            return state, time
        time += decision.retry_after
        if time >= EXACT:
            return None
    return None
