"""Sliding window with K moments, and the sliding window log. Both use one kernel.

They never admit more than the limit in any window, and no wait is longer than the window. The log stores a moment for
each hit. The window divides its period into K cells and stores one moment for each: the units admitted in a cell count
as admitted at its latest hit. A unit never counts as older than it is, so no window admits more than the limit. No
moment is in the future, so no wait is longer than the window. A client that waits as told gets the whole rate. A client
that polls gets at least K/(K + 1) of it.

The state is ``(period, before, last, count, older)``. `count` is a running count of the units admitted, `last` the
latest moment, and `before` the count before the oldest moment in the window, so ``count - before`` units are in use.
`older` is None or a flat tuple of the other moments, ``t1, c1, t2, c2, ...``, oldest first, each with the running count
after it. If there are more than `_LONG` integers, they move into blocks, and `older` is ``t1, tail, skip, blocks``. The
tail and each block are flat tuples. The first `skip` integers of the first block have left the window. So a hit copies
a short tuple, never a whole log.

A charge of N units at `now` drops the moments up to ``now - period``, and is admitted if
``count - before + N <= limit``. It joins the last moment if both are in one cell. A refused charge waits until enough
of the oldest moments have left the window.

If the clock goes back by at most one period, the time stays the same until the clock has caught up. If it goes back by
more, all units count from the new time. If the period has changed, a moment counts for the shorter of the two periods
until a hit is admitted, and then for the new one, since the store may forget the state after the old period.

Settling: the receipt of a hit is its moment and the size of a cell. Its units are given back to the first moment that
is not before it, if both are in one cell. If that moment has left the window, nothing is given back. Without a receipt,
units are given back to the latest moments. The rest of a cell counts from its latest hit as before, so the key never
has more quota than if the units had not been taken. Units charged in any case count from now on, up to twice the limit
in all. They leave the window as others do, so no wait is longer than the window.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from traffik.model.decisions import NEVER, Decision
from traffik.model.errors import RateError
from traffik.model.rates import Rate
from traffik.strategies.base import EXACT, Kernel, Receipt, Settled, Settler, State, Transition, Twin, inexact, settled
from traffik.strategies.moments import settler_of_moments

__all__ = ["MAX_ENTRIES", "SlidingLog", "SlidingWindow"]

MAX_ENTRIES: Final = 10_000
"""The most moments in the state of a key: the largest limit of `SlidingLog`, and the largest resolution."""

_LONG: Final = 64
"""The integers of older moments that become a block. A window with the default resolution has at most 32."""

_LONG_AGO: Final = -EXACT
"""A moment before any window."""

_Older: TypeAlias = tuple[Any, ...]

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """At most `limit` units in any window, and no wait longer than the window. This is the default strategy.

    Args:
        resolution: the cells in a window, 1 to `MAX_ENTRIES`. The state of a key has at most ``resolution + 1``
            moments, and a client that polls gets at least ``resolution / (resolution + 1)`` of the rate.

    Raises:
        ValueError: the resolution is not an integer, or out of its range.
    """

    resolution: int = 16

    def __post_init__(self) -> None:
        if type(self.resolution) is not int or not 1 <= self.resolution <= MAX_ENTRIES:
            raise ValueError(f"a resolution is an integer from 1 to {MAX_ENTRIES}, not {self.resolution!r}")

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        return Twin("sliding_window", (rate.limit, rate.period, self._cell(rate)))

    def prepare(self, rate: Rate) -> Kernel:
        return _kernel(rate, rate.limit, self._cell(rate))

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return self.settler(rate).receipt(before, after)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        return settled(self.prepare(rate), state, self.settler(rate).settle(state, delta, receipt, now), now)

    def settler(self, rate: Rate) -> Settler:
        return settler_of_moments(_kernel(rate, 2 * rate.limit, self._cell(rate)), rate.period, self._cell(rate))

    def _cell(self, rate: Rate) -> int:
        """µs in a cell; 1 if each unit of the limit may have its own moment."""
        # Lua stores running counts modulo half of EXACT, and computes their differences
        if rate.limit >= EXACT // 4:
            raise inexact(self, rate)
        return 1 if rate.limit <= self.resolution else -(-rate.period // self.resolution)


@dataclass(frozen=True, slots=True)
class SlidingLog:
    """At most `limit` units in any window. The state has a moment for each hit, so limits are at most `MAX_ENTRIES`."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        self._check(rate)
        return Twin("sliding_window", (rate.limit, rate.period, 1))

    def prepare(self, rate: Rate) -> Kernel:
        self._check(rate)
        return _kernel(rate, rate.limit, 1)

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return self.settler(rate).receipt(before, after)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        return settled(self.prepare(rate), state, self.settler(rate).settle(state, delta, receipt, now), now)

    def settler(self, rate: Rate) -> Settler:
        self._check(rate)
        return settler_of_moments(_kernel(rate, 2 * rate.limit, 1), rate.period, 1)

    def _check(self, rate: Rate) -> None:
        if rate.limit > MAX_ENTRIES:
            raise RateError(
                f"{self!r} stores every hit, so its limits are at most {MAX_ENTRIES}, not {str(rate)!r}: "
                f"use SlidingWindow(), which also admits at most the limit in any window, and stores few moments"
            )


def _kernel(rate: Rate, limit: int, cell: int) -> Kernel:
    period = rate.period
    fresh = (period, 0, _LONG_AGO, 0, None)

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        era, before, last, count, older = fresh if state is None else state
        span, life, kept = period, period, None
        age = now - last
        if age < 0 or era != period:
            span = min(era, period)
            if -age > span:  # the clock has gone far back
                before, last, count, older = 0, now, count - before, None
                kept = (era, before, last, count, older)
            elif age < 0:
                life, now = period - age, last
            age = now - last
        if age >= span:
            before, last, count, older, age = 0, now, 0, None, 0
        elif older is not None and now - older[0] >= span:
            before, older = _without_first(older, now - span)
        left = limit + before - count - cost
        if left >= 0 and cost:
            if now % cell < age:
                older = _longer(older, last, count)
            decision = _new(Decision, (True, limit, left, 0, life, rate, None))
            return decision, (period, before, now, count + cost, older), life
        skew, room = life - period, left + cost
        reset = span - age + skew if count > before else 0
        if left >= 0:
            decision = _new(Decision, (True, limit, left, 0, reset, rate, None))
            return decision, state or (period, 0, now, 0, None), reset
        wait = NEVER if cost > limit else _moment_of(older, last, count + cost - limit) - now + span + skew
        decision = _new(Decision, (False, limit, room if room > 0 else 0, wait, reset, rate, None))
        return decision, kept, kept[0] if kept else 0

    return kernel


def _longer(older: _Older | None, last: int, count: int) -> _Older:
    """The older moments, with the last one added."""
    if older is None:
        return (last, count)
    tail = older[1]
    if type(tail) is tuple:
        first, _, skip, blocks = older
        if len(tail) < _LONG:
            return first, tail + (last, count), skip, blocks  # noqa: RUF005 - unpacking would make a list first
        return first, (last, count), skip, (*blocks, tail)
    if len(older) < _LONG:
        return older + (last, count)  # noqa: RUF005 - as above
    return older[0], (last, count), 0, (older,)


def _without_first(older: _Older, horizon: int) -> tuple[int, _Older | None]:
    """The running count up to `horizon`, and the older moments after it. The first one is not after it."""
    if type(older[1]) is tuple:
        _, tail, skip, blocks = older
        block = blocks[0]
        if block[-2] <= horizon:
            return _without_blocks(tail, blocks, horizon)
        skip += 2
        while block[skip] <= horizon:
            skip += 2
        return block[skip - 1], (block[skip], tail, skip, blocks)
    place, end = 2, len(older)
    while place < end and older[place] <= horizon:
        place += 2
    return older[place - 1], older[place:] or None


def _without_blocks(tail: _Older, blocks: _Older, horizon: int) -> tuple[int, _Older | None]:
    """`_without_first` if no moment of the first block is after the horizon."""
    gone = bisect_right(blocks, horizon, key=lambda block: block[-2])
    before, blocks = blocks[gone - 1][-1], blocks[gone:]
    older = (blocks[0][0], tail, 0, blocks) if blocks else tail
    return _without_first(older, horizon) if older[0] <= horizon else (before, older)


def _moment_of(older: _Older | None, last: int, count: int) -> int:
    """The moment at which the running count reached `count`."""
    if older is None:
        return last
    row = older
    if type(older[1]) is tuple:
        _, tail, _, blocks = older
        place = bisect_left(blocks, count, key=lambda block: block[-1])
        row = blocks[place] if place < len(blocks) else tail
    place = 2 * bisect_left(row[1::2], count)
    moment: int = row[place] if place < len(row) else last
    return moment
