"""Fixed window: at most `limit` in a window that opens with a key's first hit.

State ``(period, start, count)``. Past ``start + period`` the key is fresh. A charge of N is admitted iff
``count + N <= limit``; a refused one waits for the end of the window.

Promises no more than 2 · limit - 1 in any stretch as long as a period: almost all of one window late, all of the next
early. If the clock goes back by at most one window, the window stays as it is; by more, it opens anew at the new time
with the count kept. Under another period the window ends as it would have, unless a hit is admitted before that.

Settling: the receipt of a hit is the start of its window. Units are given back while that window is open; if none are
left, the key is fresh. What is charged in any case takes the count to at most twice the limit, and ends with
the window.
(Compare: "fixed window from the first hit" in Redis' INCR pattern.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from traffik.model.decisions import NEVER, Decision
from traffik.model.rates import Rate
from traffik.strategies.base import (
    EXACT,
    UNCHANGED,
    Kernel,
    Receipt,
    Settled,
    Settlement,
    Settler,
    State,
    Transition,
    Twin,
    charge_anyway,
    inexact,
    settled,
)

__all__ = ["FixedWindow"]

_FRESH: Final[State] = (1, 0, 0)
"""A window that ended long ago."""

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class FixedWindow:
    """At most `limit` hits in a window that opens with the first hit; simplest, bursty at the boundary."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        return Twin("fixed_window", self._numbers(rate))

    def _numbers(self, rate: Rate) -> tuple[int, int]:
        if 2 * rate.limit + rate.period >= EXACT:
            raise inexact(self, rate)
        return rate.limit, rate.period

    def prepare(self, rate: Rate) -> Kernel:
        return _kernel(rate, *self._numbers(rate))

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return self.settler(rate).receipt(before, after)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        return settled(self.prepare(rate), state, self.settler(rate).settle(state, delta, receipt, now), now)

    def settler(self, rate: Rate) -> Settler:
        limit, period = self._numbers(rate)
        overdraft = _kernel(rate, 2 * limit, period)

        def receipt_of(_: State | None, after: State) -> Receipt:
            return (after[1],)

        def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
            if delta > 0:
                return charge_anyway(overdraft, state, delta, now)
            return UNCHANGED if state is None else _give_back(state, -delta, receipt, now)

        return Settler(receipt_of, settle)


def _give_back(state: State, units: int, receipt: Receipt | None, now: int) -> Settlement:
    era, start, used = state
    if receipt is not None and receipt[0] != start:
        return UNCHANGED
    left = start + era - now
    if left > 2 * era:
        start, left = now, era
    given = min(units, used) if left > 0 else 0
    if given == 0:
        return UNCHANGED
    if given == used:
        return _FRESH, 0, -given
    return (era, start, used - given), left, -given


def _kernel(rate: Rate, limit: int, period: int) -> Kernel:
    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        anew = False
        if state is None:
            era, start, used, left = period, now, 0, period
        else:
            era, start, used = state
            left = start + era - now
            if left <= 0:
                era, start, used, left = period, now, 0, period
            elif left > 2 * era:
                start, left, anew = now, era, True
        total = used + cost
        if total <= limit:
            if era != period:
                # The hits so far may be as late as now, yet count no longer than the old window would have.
                start = start if period > era else min(now, start + era - period)
                left = start + period - now
            decision = _new(Decision, (True, limit, limit - total, 0, left if total else 0, rate, None))
            return decision, (period, start, total), left
        room = limit - used if used < limit else 0
        wait = left if cost <= limit else NEVER
        decision = _new(Decision, (False, limit, room, wait, left if used else 0, rate, None))
        return decision, (era, start, used) if anew else None, left if anew else 0

    return kernel
