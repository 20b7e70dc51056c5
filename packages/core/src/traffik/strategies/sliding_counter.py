"""Sliding window counter: two counts, the older one fading out in proportion to the time passed.

State ``(period, start, current, previous)``: `current` was admitted since `start`, `previous` in the window before it.
(One size for all keys, also those without a previous window: memory that is given back then fits whatever comes next.)
Windows follow one another from a key's first hit. With W the period, L the limit and e = now - start, a charge of N is
admitted iff ``previous·(W - e) + (current + N)·W <= L·W``: no division, so no rounding. The wait is exact: the first
tick at which that holds.

Promises exactly L in the first window, no jump at a boundary, at most 2L - 1 in any stretch of length W against an
adversary, and L/W in the long run. (Cloudflare, "How we built rate limiting capable of scaling to millions of domains";
the grid starts at the first hit instead of the epoch, so that clients do not share a boundary.)

Needs 3·L·W below 2**53; where µs are too fine, whole multiples of them that divide W are counted. If the clock goes
back by at most one window it stands still until it has caught up; by more, the counts start anew at the new time.
"""

from __future__ import annotations

from dataclasses import dataclass

from traffik.model.decisions import NEVER, Decision
from traffik.model.rates import Rate
from traffik.strategies.base import EXACT, Kernel, State, Transition, Twin, finest_tick, inexact

__all__ = ["SlidingCounter"]

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class SlidingCounter:
    """At most `limit` in a window that slides, approximated by two counts; smooth, and constant in memory."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        return Twin("sliding_counter", (rate.limit, rate.period, self._tick(rate)))

    def prepare(self, rate: Rate) -> Kernel:
        return _kernel(rate, rate.period, self._tick(rate))

    def _tick(self, rate: Rate) -> int:
        tick = finest_tick(rate.period, lambda tick: 3 * max(rate.limit, 1) * (rate.period // tick) < EXACT)
        # After a clock has gone back, a reset may be three periods away.
        if tick is None or 3 * rate.period >= EXACT:
            raise inexact(self, rate)
        return tick


def _kernel(rate: Rate, period: int, tick: int) -> Kernel:
    """At most the rate's limit in windows of `period`, which is its own unless that has changed."""
    limit = rate.limit
    window = period // tick
    area, twice, coarse = limit * window, 2 * period, tick != 1

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        late = skew = previous = current = elapsed = anew = 0
        if coarse:
            late = now % tick
            now -= late
        start = now
        if state is not None:
            era, start, current, previous = state
            if era != period:
                return _changed(rate, state, cost, now + late)
            if previous > limit or current > limit:  # The limit has been lowered.
                current, previous = min(current, limit), min(previous, limit)
            elapsed = now - start
            if not 0 <= elapsed < period:
                if elapsed >= twice:
                    start, current, previous, elapsed = now, 0, 0, 0
                elif elapsed >= period:
                    start, current, previous, elapsed = start + period, 0, current, elapsed - period
                elif elapsed < -period:
                    start, elapsed, anew = now, 0, 1
                else:
                    skew, elapsed = -elapsed, 0
        left = window - elapsed // tick if coarse else period - elapsed
        total = current + cost
        room = area - previous * left - total * window
        life = twice - elapsed + skew - late
        if room >= 0:
            reset = life if total else (life - period if previous else 0)
            decision = _new(Decision, (True, limit, room // window, 0, reset, rate, None))
            return decision, (period, start, total, previous), life
        wait = _wait(limit, window, left, previous, current, cost)
        if wait != NEVER:
            wait = wait * tick - late + skew
        reset = life if current else (life - period if previous else 0)
        decision = _new(Decision, (False, limit, max(0, (room + cost * window) // window), wait, reset, rate, None))
        return decision, (period, start, current, previous) if anew else None, life if anew else 0

    return kernel


def _wait(limit: int, window: int, left: int, previous: int, current: int, cost: int) -> int:
    """Ticks until a refused `cost` is admitted, `left` ticks before the end of the window; NEVER above the limit."""
    if cost > limit:
        return NEVER
    if current + cost <= limit:
        # In this window: the first e' with previous·(W - e') within the room that is left beside current and cost.
        return left - (limit - current - cost) * window // previous
    # In the next one, where current takes the place of previous.
    return left + max(0, window - (limit - cost) * window // current)


def _changed(rate: Rate, state: State, cost: int, now: int) -> tuple[Decision, State | None, int]:
    """Decide on a state of another period: what is used fades in its own windows, until a hit is admitted.

    From then on it is a previous window of the new period, which begins to fade.
    """
    decision, changed, life = _kernel(rate, state[0], 1)(state, cost, now)
    if not decision.allowed or cost == 0:
        return decision, changed, life
    used = rate.limit - decision.remaining - cost
    life = 2 * rate.period
    return decision._replace(reset_after=life), (rate.period, now, cost, used), life
