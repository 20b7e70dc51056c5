"""Fixed window: at most `limit` in a window that opens with a key's first hit.

State ``(period, start, count)``. Past ``start + period`` the key is fresh. A charge of N is admitted iff
``count + N <= limit``; a refused one waits for the end of the window.

Promises no more than 2 · limit - 1 in any stretch as long as a period: almost all of one window late, all of the next
early. If the clock goes back by at most one window, the window stays as it is; by more, it opens anew at the new time
with the count kept. (Compare: "fixed window from the first hit" in Redis' INCR pattern.)
"""

from __future__ import annotations

from dataclasses import dataclass

from traffik.decisions import NEVER, Decision
from traffik.rates import Rate
from traffik.strategies.base import EXACT, Kernel, State, Transition, inexact

__all__ = ["FixedWindow"]

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class FixedWindow:
    """At most `limit` hits in a window that opens with the first hit; simplest, bursty at the boundary."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def prepare(self, rate: Rate) -> Kernel:
        limit, period = rate.limit, rate.period
        if limit + period >= EXACT:
            raise inexact(self, rate)

        def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
            if state is None:
                start, used, left = now, 0, period
            else:
                era, start, used = state
                if era != period:
                    start, used = _carried(state, limit, period, now)
                left = start + period - now
                if left <= 0:
                    start, used, left = now, 0, period
                elif left > 2 * period:
                    start, left = now, period
            total = used + cost
            if total <= limit:
                decision = _new(Decision, (True, limit, limit - total, 0, left if total else 0, rate, None))
                return decision, (period, start, total), left
            room = limit - used if used < limit else 0
            wait = left if cost <= limit else NEVER
            return _new(Decision, (False, limit, room, wait, left if used else 0, rate, None)), None, 0

        return kernel


def _carried(state: State, limit: int, period: int, now: int) -> tuple[int, int]:
    """The start and count under a new period: what was used stays used, and never for longer than it was."""
    era, start, used = state
    if now >= start + era:
        return now, 0
    if period < era:
        # Its hits may be as late as now; but the old window would have been over at start + era.
        start = min(now, start + era - period)
    return start, min(used, limit)
