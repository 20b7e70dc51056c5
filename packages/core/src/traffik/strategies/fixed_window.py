"""Fixed window: at most `limit` units in a window that opens with the first hit of a key.

The state is ``(period, start, count)``. At ``start + period`` it expires. A charge of N units is admitted if
``count + N <= limit``. A refused charge waits for the end of the window. (Compare the INCR pattern in the documentation
of Redis.)

At most 2 · limit - 1 units are admitted in any time span of one period: almost all of one window at its end, and all of
the next window at its beginning.

If the clock goes back by at most one window, the window stays as it is. If it goes back by more, a window with the same
count opens at the new time. If the period has changed, the window ends as it would have, unless a hit is admitted
before.

Settling: the receipt of a hit is the start of its window. Units can be given back while that window is open. If all are
given back, the key is like a new one. Units charged in any case raise the count to at most twice the limit, until the
end of the window.
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
    """At most `limit` units in a window that opens with the first hit. The simplest strategy; bursts at the edges."""

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
        restarted = False
        if state is None:
            era, start, used, left = period, now, 0, period
        else:
            era, start, used = state
            left = start + era - now
            if left <= 0:
                era, start, used, left = period, now, 0, period
            elif left > 2 * era:
                start, left, restarted = now, era, True
        total = used + cost
        if total <= limit:
            if era != period:
                # Earlier hits may be as late as now, but must not count longer than in the old window.
                start = start if period > era else min(now, start + era - period)
                left = start + period - now
            life = left if total else 0
            return _new(Decision, (True, limit, limit - total, 0, life, rate, None)), (period, start, total), life
        room = limit - used if used < limit else 0
        wait = left if cost <= limit else NEVER
        decision = _new(Decision, (False, limit, room, wait, left if used else 0, rate, None))
        return decision, (era, start, used) if restarted else None, left if restarted else 0

    return kernel
