"""Sliding window log: remembers every admitted hit, so any stretch as long as the period admits `limit` exactly.

State ``(total, skip, blocks, tail)``: the hits as pairs ``time, cost`` in flat tuples, oldest first; `blocks`
are full ones and the first `skip` integers of the oldest are gone already. A hit copies the short tail, never the
whole log, so it costs the same at a limit of ten and of ten thousand.

A charge of N is admitted iff the costs later than ``now - period`` and N come to at most `limit`; a refused one waits
until enough of the oldest have left. Exact, at a price in memory: up to `limit` entries a key, hence `MAX_ENTRIES`.
If the clock goes back, hits are noted at the latest time known, so the log stays in order and nothing is given back
early; after more than one period back, everything in it is taken to have happened at the new time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from traffik.model.decisions import NEVER, Decision
from traffik.model.errors import RateError
from traffik.model.rates import Rate
from traffik.strategies.base import Kernel, State, Transition, Twin

__all__ = ["MAX_ENTRIES", "SlidingLog"]

MAX_ENTRIES: Final = 10_000
"""The largest limit this strategy takes: what one key may have to remember."""

_BLOCK: Final = 64
"""Integers in a full block: short enough to copy at every hit, long enough that blocks are few."""

_Block: TypeAlias = tuple[int, ...]
_Blocks: TypeAlias = tuple[_Block, ...]

_EMPTY: tuple[int, int, _Blocks, _Block] = (0, 0, (), ())

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class SlidingLog:
    """At most `limit` in any window, exactly; remembers every hit, so limits are at most `MAX_ENTRIES`."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        return Transition(*self.prepare(rate)(state, cost, now))

    def capacity(self, rate: Rate) -> int:
        return rate.limit

    def twin(self, rate: Rate) -> Twin:
        return Twin("sliding_log", self._numbers(rate))

    def _numbers(self, rate: Rate) -> tuple[int, int]:
        if rate.limit > MAX_ENTRIES:
            raise RateError(
                f"{self!r} remembers every hit and takes limits up to {MAX_ENTRIES}, not {str(rate)!r}: "
                f"use SlidingWindow, which needs the same memory for every limit"
            )
        return rate.limit, rate.period

    def prepare(self, rate: Rate) -> Kernel:
        limit, period = self._numbers(rate)

        def kernel(state: State | None, cost: int, now: int) -> tuple[Decision, State | None, int]:
            used, skip, blocks, tail = state or _EMPTY
            skew = last = anew = 0
            if tail:
                last = tail[-2]
                if last > now + period:
                    last, skip, blocks, tail, anew = now, 0, (), (now, used), 1
                elif last > now:
                    skew, now = last - now, last
                if (blocks[0] if blocks else tail)[skip] <= now - period:
                    used, skip, blocks, tail = _recent(used, skip, blocks, tail, now - period)
            total = used + cost
            if total > limit:
                wait = NEVER if cost > limit else _nth(total - limit, skip, blocks, tail) + period - now + skew
                reset = tail[-2] + period - now + skew if tail else 0
                decision = _new(Decision, (False, limit, max(0, limit - used), wait, reset, rate, None))
                return decision, (used, skip, blocks, tail) if anew else None, period if anew else 0
            if last == now and tail:
                tail = (*tail[:-1], tail[-1] + cost)
            elif len(tail) < _BLOCK:
                tail = tail + (now, cost)  # noqa: RUF005 - unpacking would go by way of a list
            else:
                blocks, tail = (*blocks, tail), (now, cost)
            life = period + skew
            decision = _new(Decision, (True, limit, limit - total, 0, life if total else 0, rate, None))
            return decision, (total, skip, blocks, tail), life

        return kernel


def _recent(used: int, skip: int, blocks: _Blocks, tail: _Block, horizon: int) -> tuple[int, int, _Blocks, _Block]:
    """The log without what happened at `horizon` or before."""
    while True:
        block = blocks[0] if blocks else tail
        end = len(block)
        while skip < end and block[skip] <= horizon:
            used -= block[skip + 1]
            skip += 2
        if skip < end:
            # A tail is short: cutting it keeps `skip` for blocks, and a tail that never fills from growing.
            return (used, skip, blocks, tail) if blocks else (used, 0, blocks, tail[skip:])
        if not blocks:
            return 0, 0, (), ()
        blocks, skip = blocks[1:], 0


def _nth(excess: int, skip: int, blocks: _Blocks, tail: _Block) -> int:
    """The time of the entry with which, from the oldest on, at least `excess` will have left."""
    for block in (*blocks, tail):
        for place in range(skip, len(block), 2):
            excess -= block[place + 1]
            if excess <= 0:
                return block[place]
        skip = 0
    raise AssertionError("the entries of a log come to what it says is used")
