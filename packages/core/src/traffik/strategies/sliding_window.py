"""Sliding window: at most `limit` in any window, remembered as a few moments; and the log, which remembers every hit.

A hit is counted at a moment: a time and the units admitted up to it since the moment before. Hits in one cell of a grid
of `resolution` cells a window share a moment, which moves to the latest of them. So a hit is remembered at its own time
or later, for at least one window: no window ever holds more than `limit`. And no moment lies in the future, so the wait
for any cost up to `limit` is exact and at most one window. A client that waits as told gets the whole rate; one that
tries again and again gets at least ``resolution / (resolution + 1)`` of it.

State ``(used, older, earlier, time, count)``: `used` is the sum of all units; `time` and `count` are the last moment,
which changes at nearly every hit; `earlier` has the moments before it as a flat tuple, oldest first. A long log moves
full blocks of moments to `older`, ``(skip, block, …)``, where the first `skip` integers of the first block have left
the window. So a hit copies a short tuple at most, whatever the limit.

If the clock goes back by a window at most, hits are counted at the latest time known; if by more, everything used
counts as used at the new time. Nothing is given back early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from traffik.model.decisions import NEVER, Decision
from traffik.model.errors import RateError
from traffik.model.rates import Rate
from traffik.strategies.base import EXACT, Kernel, State, Transition, Twin, inexact

__all__ = ["MAX_ENTRIES", "SlidingLog", "SlidingWindow"]

MAX_ENTRIES: Final = 10_000
"""The largest limit of a log: the moments that one key may have to remember."""

_FINEST: Final = 1_000
"""The largest resolution: the most moments a key of a `SlidingWindow` remembers, but for one."""

_FULL: Final = 64
"""Integers in a full block of moments: short enough to copy at every hit, long enough that blocks are few."""

_NONE: Final[tuple[()]] = ()
_EMPTY: Final[State] = (0, _NONE, _NONE, 0, 0)
"""No moments, for an unpacking that needs five parts."""

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """At most `limit` in any window, and no wait longer than a window. The default.

    Args:
        resolution: how finely a window is divided, 1 to 1,000. A key remembers at most this many moments and one more;
            a client that tries again without waiting gets at least ``resolution / (resolution + 1)`` of the rate.

    Raises:
        ValueError: the resolution is out of its range.
    """

    resolution: int = 16

    def __post_init__(self) -> None:
        if type(self.resolution) is not int or not 1 <= self.resolution <= _FINEST:
            raise ValueError(f"a resolution is an integer from 1 to {_FINEST}, not {self.resolution!r}")

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        return Twin("sliding_window", (*_checked(self, rate), self._grid(rate)))

    def prepare(self, rate: Rate) -> Kernel:
        _checked(self, rate)
        return _kernel(rate, self._grid(rate))

    def _grid(self, rate: Rate) -> int:
        """The size of a cell, µs. Few units need no cells: each may have a moment of its own."""
        return 1 if rate.limit <= self.resolution else -(-rate.period // self.resolution)


@dataclass(frozen=True, slots=True)
class SlidingLog:
    """At most `limit` in any window, and the whole rate for every client; remembers every hit, so limits are at most
    `MAX_ENTRIES`.
    """

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        return Twin("sliding_log", (*self._numbers(rate), 1))

    def prepare(self, rate: Rate) -> Kernel:
        self._numbers(rate)
        return _kernel(rate, 1)

    def _numbers(self, rate: Rate) -> tuple[int, int]:
        if rate.limit > MAX_ENTRIES:
            raise RateError(
                f"{self!r} remembers every hit and takes limits up to {MAX_ENTRIES}, not {str(rate)!r}: "
                f"use SlidingWindow, which remembers a few moments for any limit"
            )
        return _checked(self, rate)


def _checked(strategy: object, rate: Rate) -> tuple[int, int]:
    """The limit and the period, if their sums stay exact: a limit is counted up to twice its size."""
    if 4 * rate.limit >= EXACT or 4 * rate.period >= EXACT:
        raise inexact(strategy, rate)
    return rate.limit, rate.period


def _kernel(rate: Rate, grid: int) -> Kernel:
    """At most the rate's limit in any window, with a moment for each cell of `grid` µs."""
    limit, period = rate.limit, rate.period

    def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
        changed: State
        skew, anew = 0, False
        used, older, earlier, last, count = state or _EMPTY
        if state is not None:
            if last > now:
                if last - now <= period:
                    skew, now = last - now, last
                else:
                    older, earlier, last, count, anew = _NONE, _NONE, now, used, True
                    state = (used, older, earlier, last, count)
            if (older[1][older[0]] if older else earlier[0] if earlier else last) <= now - period:
                state = _recent(state, now - period)
                used, older, earlier, last, count = state or _EMPTY
        total = used + cost
        if total > limit:
            return _refused(rate, state, used, cost, now, skew, anew)
        life = reset = period + skew
        if cost == 0:
            reset = 0 if state is None else last - now + life
        if state is None:
            changed = (cost, _NONE, _NONE, now, cost)
        elif last % grid + now - last < grid:
            changed = (total, older, earlier, now, count + cost)
        elif len(earlier) < _FULL:
            changed = (total, older, (*earlier, last, count), now, cost)
        else:
            changed = (total, (*(older or (0,)), earlier), (last, count), now, cost)
        return _new(Decision, (True, limit, limit - total, 0, reset, rate, None)), changed, life

    return kernel


def _refused(
    rate: Rate, state: State | None, used: int, cost: int, now: int, skew: int, anew: bool
) -> tuple[Decision, State | None, int]:
    """The refusal, with the wait until enough of the oldest moments have left."""
    limit, period = rate.limit, rate.period
    wait, reset = NEVER, 0
    if state is not None:
        reset = state[3] + period - now + skew
        if cost <= limit:
            wait = _nth(used + cost - limit, state) + period - now + skew
    decision = _new(Decision, (False, limit, max(0, limit - used), wait, reset, rate, None))
    return decision, state if anew else None, period if anew else 0


def _recent(state: State, horizon: int) -> State | None:
    """The state without the moments at `horizon` or before; None if none is left."""
    used, older, earlier, last, count = state
    if last <= horizon:
        return None
    if older:
        skip, *blocks = older
        while blocks:
            skip, gone = _passed(blocks[0], skip, horizon)
            used -= gone
            if skip < len(blocks[0]):
                return used, (skip, *blocks), earlier, last, count
            del blocks[0]
            skip = 0
    skip, gone = _passed(earlier, 0, horizon)
    return used - gone, _NONE, earlier[skip:], last, count


def _passed(moments: tuple[int, ...], place: int, horizon: int) -> tuple[int, int]:
    """The place of the first moment after `horizon`, from `place` on, and the units of those before it."""
    gone, end = 0, len(moments)
    while place < end and moments[place] <= horizon:
        gone += moments[place + 1]
        place += 2
    return place, gone


def _nth(excess: int, state: State) -> int:
    """The time of the moment with which, from the oldest on, at least `excess` will have left."""
    _, older, earlier, last, count = state
    skip, *blocks = older or (0,)
    block: tuple[int, ...]
    for block in (*blocks, earlier, (last, count)):
        for place in range(skip, len(block), 2):
            excess -= block[place + 1]
            if excess <= 0:
                return block[place]
        skip = 0
    raise AssertionError("the moments of a window come to what it says is used")
