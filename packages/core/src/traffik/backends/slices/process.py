"""All slices of a process, in the order of their ends, so that unspent units are given back soon after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Final

from traffik.backends.postings import settle_surely
from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from traffik.backends.postings import Posting
    from traffik.backends.slices.hot_keys import Slice

__all__ = ["ProcessSlices"]

_MOST: Final = 128
"""Slices that are given back in one call."""

_ALWAYS: Final = 2**63


class ProcessSlices:
    """The slices that this process took from one store.

    Attributes:
        lock: held while slices change, and never while the store is called.
        clock: returns ns.
    """

    __slots__ = ("_ends", "_numbers", "clock", "lock")

    def __init__(self, clock: Callable[[], int]) -> None:
        self.lock: RLock = RLock()  # a signal handler may hit while its thread holds it
        self.clock: Callable[[], int] = clock
        self._ends: list[tuple[int, int, Slice, Callable[[Slice], None]]] = []
        self._numbers = count()

    def now(self) -> int:
        """The time in µs."""
        return self.clock() // 1000

    def add(self, taken: Slice, ended: Callable[[Slice], None]) -> None:
        """Add a slice. `ended` is called with it, under the lock, before its units are given back."""
        heappush(self._ends, (taken.until, next(self._numbers), taken, ended))

    async def give_back_ended(self, sync: bool) -> None:
        """Give back the unspent units of slices that have ended."""
        if self._ends and self._ends[0][0] <= self.now():
            await self.give_back(self._due(self.now()), sync)

    async def give_back_all(self, sync: bool) -> None:
        """Give back the unspent units of all slices. From now on they cannot be spent."""
        while self._ends:
            await self.give_back(self._due(_ALWAYS), sync)

    async def give_back(self, postings: Sequence[Posting], sync: bool) -> None:
        """Give units back. If the store does not answer, they stay taken until the store forgets them."""
        if postings:
            with suppress(BackendError):
                await settle_surely(postings, sync)

    def forget(self) -> None:
        """Forget all slices, and give nothing back."""
        self._ends.clear()

    def _due(self, now: int) -> list[Posting]:
        postings: list[Posting] = []
        with self.lock:
            while self._ends and self._ends[0][0] <= now and len(postings) < _MOST:
                _, _, taken, ended = heappop(self._ends)
                if taken.left:
                    ended(taken)
                    postings.append(taken.give_back())
        return postings
