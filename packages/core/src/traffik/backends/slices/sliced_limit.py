"""A limit whose hot keys are spent in slices.

A hit on a key with a slice is admitted here. The hit that leaves only a quarter of a slice takes the next one, while
other hits spend that quarter, and let the event loop run in between. Every other hit goes to the store as usual. If the
store refuses a hit on a key that is hit often, this process refuses too, for as long as the store announced, but asks
again after the life of a slice: by then, other processes have given back the units that they did not spend.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from traffik.backends.base import Backend, Calls
from traffik.backends.postings import HOLD, SETTLE, TAKE, Posting, Taken
from traffik.backends.resilience.denials import Denials, DenyCache
from traffik.backends.shields import shielded
from traffik.backends.slices.hot_keys import HotKey, Slice
from traffik.model.coroutines import run_sync
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from traffik.backends.slices.process import ProcessSlices
    from traffik.strategies.slicing import Slicing

__all__ = ["SlicedLimit"]

_HOT: Final = 4
"""Hits within the life of a slice that make a key hot."""

_MOST_KEYS: Final = 10_000
"""Keys whose hits are counted to find hot ones, and the most refusals that are remembered."""

_DRIFT: Final = 1_000
"""The part of its life in which a slice is not spent, since the clocks of process and store may drift apart."""

_new = tuple.__new__


class SlicedLimit:
    """One limit in a store, with the slices of its hot keys in this process.

    Args:
        process: what all sliced limits of a store share.
        store: the store that counts.
        uid: the uid of the limit.
        slicing: how to count it.
    """

    def __init__(self, process: ProcessSlices, store: Backend, uid: str, slicing: Slicing) -> None:
        self._process = process
        self._store = store
        self._slicing = slicing
        self._account = store.account(uid, slicing.plan)
        self._hot: dict[str, HotKey] = {}
        self._hits: dict[str, int] = {}
        self._count_until = 0
        self._denials = Denials(DenyCache(_MOST_KEYS, slicing.life / 1_000_000))

    def calls(self, inner: Calls, *, sync: bool) -> Calls:
        """The calls of the limit, around those to the store that counts."""

        def finished(work: Any) -> Any:
            return run_sync(work) if sync else work

        def read(key: str, cost: int) -> Decision | Awaitable[Decision]:
            decision: Decision | Awaitable[Decision] = finished(self._read(inner, key, cost))
            return decision

        def reset(key: str) -> Awaitable[None] | None:
            self.forget(key)
            return inner.reset(key)

        return Calls(self._charger(inner, sync, finished), read, reset, inner.account)

    def _charger(
        self, inner: Calls, sync: bool, finished: Callable[[Any], Any]
    ) -> Callable[[str, int], Decision | Awaitable[Decision]]:
        """The hot path. It uses local variables, which are faster than attributes."""
        acquire, release, clock = self._process.lock.acquire, self._process.lock.release, self._process.clock
        hot_keys, refuse, plan = self._hot, self._denials.find, self._slicing.plan
        limit, rate = plan.bounds[0]

        def charge(key: str, cost: int) -> Decision | Awaitable[Decision]:
            now = clock() // 1000
            hot = hot_keys.get(key)
            if hot is not None:
                # As in the store in memory: acquired inside the try, so it is released even if a signal handler raises.
                # There is no call between reading and writing what is left, so no handler runs there.
                try:
                    acquire()
                    first = hot.first
                    left = first.left - cost
                    spent = left >= 0 and now < first.until
                    if spent:
                        first.left = left
                finally:
                    release()
                if spent:
                    reset = hot.reset_at - now
                    values = (True, limit, left + hot.beyond, 0, reset if reset > 0 else 1, rate, None)
                    decision = _new(Decision, values)
                    return decision if left > first.low else finished(self._refilled(hot, key, decision, sync))
            refusal = refuse(key, plan, cost, now)
            return finished(self._ask(inner, key, cost, sync)) if refusal is None else refusal

        return charge

    async def _ask(self, inner: Calls, key: str, cost: int, sync: bool) -> Decision:
        """Decide on a hit that the first slice of its key cannot admit."""
        await self._process.give_back_ended(sync)
        now = self._process.now()
        with self._process.lock:
            often = self._count(key, now)
            hot = self._hot.get(key)
            if hot is not None:
                hot.drop(now)
                if cost <= hot.first.left:
                    hot.first.left -= cost
                    return self._admitted(hot, now)
        decision = await self._charged(inner, key, cost, sync)
        if hot is not None and not decision.allowed and hot.left:
            decision = await self._exchanged(hot, key, cost, sync)
        if decision.degraded is None:
            hot = self._noted(key, cost, decision, now, often)
            if hot is not None:
                return await self._refilled(hot, key, decision, sync)
        return decision

    def _noted(self, key: str, cost: int, decision: Decision, asked: int, often: bool) -> HotKey | None:
        """Note what the store decided. Returns the key if it was admitted and is hot."""
        if not decision.allowed:
            if often:
                self._denials.note(key, self._slicing.plan, cost, decision, asked)
            return None
        self._denials.admitted(key)
        with self._process.lock:
            hot = self._hot.setdefault(key, HotKey()) if often else self._hot.get(key)
            if hot is not None:
                hot.note(decision, asked)
            return hot

    def _admitted(self, hot: HotKey, now: int) -> Decision:
        """The decision on a hit that a slice admits. What remains is as of the last answer of the store."""
        limit, rate = self._slicing.plan.bounds[0]
        return Decision(True, limit, hot.first.left + hot.beyond, 0, max(1, hot.reset_at - now), rate)

    async def _charged(self, inner: Calls, key: str, cost: int, sync: bool) -> Decision:
        answer = inner.charge(key, cost)
        return answer if isinstance(answer, Decision) else await answer

    async def _exchanged(self, hot: HotKey, key: str, cost: int, sync: bool) -> Decision:
        """Give the slices of a key back, and charge `cost`, in one step."""
        with self._process.lock:
            back = hot.give_back()
        taken = self._store.take([(self._account, key, cost)], TAKE, sync=sync, back=back)
        return (taken if isinstance(taken, Taken) else await taken).decisions[0]

    async def _refilled(self, hot: HotKey, key: str, decision: Decision, sync: bool) -> Decision:
        """Take the next slice of a key, if it is time. Returns `decision`, which has been made already."""
        if hot.refilling:
            if not sync:
                await _let_others_run()
            return decision
        await self._process.give_back_ended(sync)
        with self._process.lock:
            now = self._process.now()
            if hot.refilling:
                return decision
            units = hot.next_units(now, self._hits.get(key, 1), self._slicing.largest)
            if units < 2:
                return decision
            hot.refilling = True
        work = self._take(hot, key, units, now, sync)
        await (work if sync or self._store.in_process else shielded(work))
        return decision

    async def _take(self, hot: HotKey, key: str, units: int, asked: int, sync: bool) -> None:
        """Take a slice. If the store does not answer, or has not so many units, there is none."""
        arrived = False
        try:
            arrived = await self._arrived(hot, key, units, asked, sync)
        finally:
            with self._process.lock:
                hot.refilled(arrived)

    async def _arrived(self, hot: HotKey, key: str, units: int, asked: int, sync: bool) -> bool:
        """Ask the store for a slice. Returns whether it can be spent."""
        try:
            answer = self._store.take([(self._account, key, units)], HOLD, sync=sync)
            decisions, helds = answer if isinstance(answer, Taken) else await answer
        except BackendError:
            return False
        decision, held = decisions[0], helds[0] if helds else None
        if held is None:
            if decision.degraded is None:
                hot.note(decision, asked)
            return False
        lives = min(self._slicing.life, self._slicing.lasts(decision))
        back = Posting(SETTLE, held[0], key, -units, held[1])
        taken = Slice(back, asked + lives - lives // _DRIFT)
        with self._process.lock:
            if decision.degraded is None and self._hot.get(key) is hot:
                hot.add(taken, decision, asked, self._process.now())
                self._process.add(taken, partial(self._ended, hot))
                return True
        await self._process.give_back([back], sync)
        return False

    async def _read(self, inner: Calls, key: str, cost: int) -> Decision:
        """Decide as a hit would, and change nothing: with the units of this process, and those left in the store."""
        now = self._process.now()
        with self._process.lock:
            hot = self._hot.get(key)
            left = 0
            if hot is not None:
                hot.drop(now)
                left = hot.left
                if 0 < cost <= left:
                    return self._admitted(hot, now)
        answer = inner.read(key, max(0, cost - left))
        decision = answer if isinstance(answer, Decision) else await answer
        if not left:
            return decision
        wait = decision.retry_after if cost else 0
        return decision._replace(remaining=decision.remaining + left, retry_after=wait)

    def forget(self, key: str | None = None) -> None:
        """Forget the slices of a key, or of all, and give nothing back: the store forgets their units."""
        with self._process.lock:
            for each in [*self._hot] if key is None else [key]:
                hot = self._hot.pop(each, None)
                if hot is not None:
                    hot.give_back()  # to no store
        self._denials.forget(key)

    def after_fork(self) -> None:
        """Start without slices in a child process."""
        self._denials.after_fork()
        self.forget()

    def _ended(self, hot: HotKey, _: Slice) -> None:
        """Called when a slice has ended with units left."""
        hot.drop(self._process.now())

    def _count(self, key: str, now: int) -> bool:
        """Count a hit on a key that no slice admits. Returns whether the key is hit often."""
        if now >= self._count_until:
            self._count_until = now + self._slicing.life
            self._hits.clear()
            for each, hot in list(self._hot.items()):
                hot.drop(now)
                if not hot.left and not hot.refilling and now - hot.taken_at > 2 * self._slicing.life:
                    del self._hot[each]
        hits = self._hits.get(key, 0) + 1
        if hits > 1 or len(self._hits) < _MOST_KEYS:
            self._hits[key] = hits
        return hits >= _HOT


async def _let_others_run() -> None:
    """Let the event loop read the answer with the next slice, before the rest of the last one is spent."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        await asyncio.sleep(0)
