"""Sliding window counter: two counts, of which the older one fades out in proportion to the time passed.

The state is ``(period, start, current, previous)``: `current` units have been admitted since `start`, and `previous` in
the window before. (States without a previous window have the same size, so freed memory fits the next state.) The first
window opens with the first hit of a key. With W the period, L the limit and e = now - start, a charge of N units is
admitted if ``previous·(W - e) + (current + N)·W <= L·W``. There is no division, so no rounding. The wait is exact: it
ends at the first tick at which the condition holds.

The first window admits exactly L units. There is no jump at the edge of a window. At most 2L - 1 units are admitted in
any time span W. (Cloudflare, "How we built rate limiting capable of scaling to millions of domains". Here windows begin
with the first hit instead of the epoch, so clients do not share their edges.)

The arithmetic needs 3·L·W below 2**53. If µs are too fine, it uses coarser ticks that divide W. If the clock goes back
by at most one window, the time stays the same until the clock has caught up. If it goes back by more, the counts begin
at the new time.

Settling: the receipt of a hit is the start of its window, the period and the limit. Units are given back to the count
of that window while it is the current or the previous one, and later not at all. Without a receipt, they are given back
to the current count first. Units charged in any case raise the usage to at most twice the limit. In a state with such a
count above the limit, the period is negative. In any other state, a count above the limit comes from a higher limit in
the past, and is cut to the new limit.
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
    finest_tick,
    inexact,
    settled,
)

__all__ = ["SlidingCounter"]

_FRESH: Final[State] = (1, 0, 0, 0)
"""A state whose windows ended long ago."""

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class SlidingCounter:
    """About `limit` units in a sliding window, approximated by two counts, with a small state of constant size."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        return Twin("sliding_counter", (rate.limit, rate.period, self._tick(rate)))

    def prepare(self, rate: Rate) -> Kernel:
        return _kernel(rate, rate.period, self._tick(rate), rate.limit, rate.limit)

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return self.settler(rate).receipt(before, after)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        return settled(self.prepare(rate), state, self.settler(rate).settle(state, delta, receipt, now), now)

    def settler(self, rate: Rate) -> Settler:
        limit = rate.limit
        kernel, overdraft = (_kernel(rate, rate.period, self._tick(rate), most, limit) for most in (limit, 2 * limit))

        def receipt_of(_: State | None, after: State) -> Receipt:
            return after[1], rate.period, limit

        def settle(state: State | None, delta: int, receipt: Receipt | None, now: int) -> Settlement:
            if delta > 0:
                changed, ttl, applied = charge_anyway(overdraft, state, delta, now)
                return changed and _marked(changed, limit), ttl, applied
            given = state and _without(state, -delta, receipt, limit, now)
            if not given:
                return UNCHANGED
            changed, applied = given
            return changed, kernel(changed, 0, now)[0].reset_after, applied

        return Settler(receipt_of, settle)

    def _tick(self, rate: Rate) -> int:
        tick = finest_tick(rate.period, lambda tick: 3 * max(rate.limit, 1) * (rate.period // tick) < EXACT)
        # after the clock has gone back, a reset may be three periods away
        if tick is None or 3 * rate.period >= EXACT:
            raise inexact(self, rate)
        return tick


def _without(state: State, units: int, receipt: Receipt | None, limit: int, now: int) -> tuple[State, int] | None:
    """The state without `units` of the window of a receipt, and the units applied; None if none can be given back."""
    era, start, current, previous = state
    period = abs(era)
    passed = (now - start) // period
    counts = [current if passed < 2 else 0, previous if passed < 1 else 0]
    if receipt is not None:
        then, *written = receipt
        counts = [
            count if (then, period) == (begin, written[0]) and not _may_be_cut(count, era, written[1], limit) else 0
            for count, begin in zip(counts, (start, start - period), strict=True)
        ]
    newer = min(units, counts[0])
    older = min(units - newer, counts[1])
    if not newer + older:
        return None
    current, previous = current - newer, previous - older
    if current == 0 and (previous == 0 or passed > 0):
        return _FRESH, -newer - older
    changed = (period, start, current, previous)
    return _marked(changed, limit) if era < 0 else changed, -newer - older


def _may_be_cut(count: int, era: int, limit_then: int, limit: int) -> bool:
    """Whether a count may have been cut since the hit, because the limit was lowered."""
    return limit < limit_then and (count == limit or era < 0)


def _marked(state: State, limit: int) -> State:
    """A state, marked by a negative period if a count is above the limit."""
    era, start, current, previous = state
    return (-abs(era), start, current, previous) if current > limit or previous > limit else state


def _kernel(rate: Rate, period: int, tick: int, limit: int, most: int) -> Kernel:
    """The kernel with at most `limit` units in windows of `period`, the period of the rate unless that has changed.

    A count in the state above `most` is cut to `most`, since the limit has been lowered.
    """
    window = period // tick
    area, twice, coarse = limit * window, 2 * period, tick != 1

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        late = skew = previous = current = elapsed = restarted = 0
        if coarse:
            late = now % tick
            now -= late
        start = now
        if state is not None:
            era, start, current, previous = state
            if era != period:
                return otherwise(state, cost, now + late)
            if previous > most or current > most:
                current, previous = min(current, most), min(previous, most)
            elapsed = now - start
            if not 0 <= elapsed < period:
                if elapsed >= twice:
                    start, current, previous, elapsed = now, 0, 0, 0
                elif elapsed >= period:
                    start, current, previous, elapsed = start + period, 0, current, elapsed - period
                elif elapsed < -period:
                    start, elapsed, restarted = now, 0, 1
                else:
                    skew, elapsed = -elapsed, 0
        left = window - elapsed // tick if coarse else period - elapsed
        total = current + cost
        room = area - previous * left - total * window
        life = twice - elapsed + skew - late
        if room >= 0:
            reset = life if total else (life - period if previous else 0)
            decision = _new(Decision, (True, limit, room // window, 0, reset, rate, None))
            return decision, (period, start, total, previous), reset
        wait = _wait(limit, window, left, previous, current, cost)
        if wait != NEVER:
            wait = wait * tick - late + skew
        reset = life if current else (life - period if previous else 0)
        decision = _new(Decision, (False, limit, max(0, (room + cost * window) // window), wait, reset, rate, None))
        return decision, (period, start, current, previous) if restarted else None, reset if restarted else 0

    def otherwise(state: State, cost: int, now: int) -> tuple[Decision, State | None, int]:
        return _decide_otherwise(rate, period, tick, limit, state, cost, now)

    return kernel


def _wait(limit: int, window: int, left: int, previous: int, current: int, cost: int) -> int:
    """Ticks until a refused `cost` is admitted, if the window ends in `left` ticks; NEVER if it is above the limit."""
    if cost > limit:
        return NEVER
    if current + cost <= limit:
        # in this window, at the first e' for which previous·(W - e') fits beside current and cost
        return left - (limit - current - cost) * window // previous
    # in the next window, where current becomes previous
    return left + window - (limit - cost) * window // current


def _decide_otherwise(
    rate: Rate, period: int, tick: int, limit: int, state: State, cost: int, now: int
) -> tuple[Decision, State | None, int]:
    """Decide on a state of another period, or with counts above the limit.

    Usage under another period fades in windows of that period until a hit is admitted. From then on it counts as a
    previous window of the new period, which begins to fade.
    """
    era, start, current, previous = state
    own, most = abs(era), 2 * rate.limit if era < 0 else rate.limit
    used = current or previous
    kernel = _kernel(rate, own if used else period, tick if own == period or not used else 1, limit, most)
    decision, changed, life = kernel((own, start, current, previous) if used else None, cost, now)
    if own != period and used and cost and decision.allowed:
        used, life = limit - decision.remaining - cost, 2 * period
        decision = decision._replace(reset_after=life)
        changed = (period, now, cost, used)
    return decision, changed and _marked(changed, rate.limit), life
