"""The store in this process: exact for its tasks and threads, with nothing to operate.

A charge is decided under one lock that is never held across an await. Memory is given back without a background task,
a little at every hit (`traffik.backends.generations` says how). A full store forgets nothing that counts: keys beyond
`max_keys` share overflow buckets, so that none gets more than its quota, and their decisions say so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from threading import Lock, RLock
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

from traffik.backends.base import Backend, Charge, Done
from traffik.backends.generations import Bank, Lapsed, bucket
from traffik.decisions import NEVER
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.decisions import Decision
    from traffik.strategies import Plan

__all__ = ["InMemoryBackend"]


class InMemoryBackend(Backend):
    """Quota in the memory of this process, for all its tasks, threads and event loops.

    Args:
        namespace: the first part of every key.
        max_keys: live keys, at least 1, above which new ones share overflow buckets.
        clock: nanoseconds that never go back; another one is for tests.
    """

    in_process: ClassVar[bool] = True

    def __init__(
        self,
        *,
        namespace: str = "traffik",
        max_keys: int = 2_000_000,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if type(max_keys) is not int or max_keys < 1:
            raise ValueError(f"max_keys is an integer from 1, not {max_keys!r}")
        super().__init__(namespace=namespace)
        self.max_keys = max_keys
        self._clock = clock
        self._lock = RLock()
        self._acquire, self._release = self._lock.acquire, self._lock.release
        self._banks: dict[str, Bank] = {}
        self._lapsed = Lapsed()
        self._keys = 0
        self._due = NEVER
        _stores.add(self)

    def __repr__(self) -> str:
        return f"<InMemoryBackend namespace={self.namespace!r} keys={self._keys} at {id(self):#x}>"

    @property
    def keys(self) -> int:
        """The keys held now, some of which may have lapsed."""
        return self._keys

    def charge(self, uid: str, plan: Plan, key: str, cost: int) -> Decision:
        # This is `with self._lock:` at half its price. Taken inside the try, a lock is given back whenever a signal
        # strikes; one that is not held refuses to be, since it knows its owner.
        try:
            self._acquire()
            now = self._clock() // 1000
            if now >= self._due:
                self._tidy(now)
            try:
                bank = self._banks[uid]
                if bank.plan is not plan:
                    bank = self._adopt(uid, bank, plan)
                newest = bank.newest
                state = newest[key]
            except KeyError:
                return self._arrive(uid, plan, key, cost, now)
            decision, changed, ttl = plan.kernel(state, cost, now)
            if changed is not None:
                newest[key] = changed
                if ttl > bank.longest:
                    bank.longest = ttl
            return decision
        finally:
            self._release()

    def peek(self, uid: str, plan: Plan, key: str, cost: int) -> Decision:
        with self._lock:
            now = self._clock() // 1000
            bank = self._banks.get(uid)
            state = None
            if bank is not None and bank.plan.family == plan.family:
                state = bank.newest.get(key) or bank.find(key)[1]
        return plan.kernel(state, cost, now)[0] if cost else probe(plan.kernel, state, now)

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        return [
            self.peek(uid, plan, key, cost) if read_only else self.charge(uid, plan, key, cost)
            for uid, plan, key, cost, read_only in charges
        ]

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        return self.apply_sync(charges)

    def open(self) -> Done:
        return Done()

    def open_sync(self) -> None:
        """Nothing to get ready."""

    def close(self) -> Done:
        """Forget everything, on the spot; awaiting it is optional. The store can be used on."""
        return self.reset()

    def close_sync(self) -> None:
        self.reset_sync()

    def reset(self, uid: str | None = None, key: str | None = None) -> Done:
        """Forget the quota used, on the spot; awaiting it is optional.

        Args:
            uid: of this throttle alone; of all if None.
            key: of this local key of it alone (if it was counted in an overflow bucket, the bucket is forgotten).
        """
        self.reset_sync(uid, key)
        return Done()

    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        if uid is None and key is not None:
            raise ValueError(f"the key {key!r} belongs to some uid: give that too")
        with self._lock:
            if uid is None:
                self._banks.clear()
                self._lapsed = Lapsed()
                self._keys = 0
                self._due = NEVER
            elif uid in self._banks:
                self._keys -= self._banks.pop(uid).size() if key is None else self._banks[uid].forget(key)

    def _arrive(self, uid: str, plan: Plan, key: str, cost: int, now: int) -> Decision:
        """Charge a key that the newest generation of its throttle does not have: it moves up, or is new."""
        bank = self._banks.get(uid)
        if bank is None:
            bank = self._banks[uid] = Bank(plan)
        home, state = bank.find(key)
        shared = home is bank.overflow
        decision, state, ttl = plan.kernel(state, cost, now)
        if state is None:
            return decision._replace(degraded="overflow") if shared else decision
        if home is None or shared:
            if self._keys >= self.max_keys:
                bank.overflow[bucket(key)] = state
                bank.overflow_until = max(bank.overflow_until, now + ttl)
                return decision._replace(degraded="overflow")
            self._keys += 1
        else:
            del home[key]
        bank.newest[key] = state
        bank.wrote(ttl, now)
        self._due = min(self._due, bank.due)
        return decision._replace(degraded="overflow") if shared else decision

    def _adopt(self, uid: str, bank: Bank, plan: Plan) -> Bank:
        """The bank for another plan: the same one, or a new one if the plan could not read what is in it."""
        if bank.plan.family != plan.family:
            self._keys -= bank.size()
            bank = self._banks[uid] = Bank(plan)
        bank.plan = plan
        return bank

    def _tidy(self, now: int) -> None:
        """Begin new generations where that is due, let go of those that have lapsed, and free some of what has gone."""
        for uid, bank in tuple(self._banks.items()):
            if now >= bank.due:
                for generation in bank.turn(now):
                    self._keys -= len(generation)
                    self._lapsed.add(generation, now, bank.span // 2)
                if bank.empty:
                    del self._banks[uid]
        self._lapsed.free(now)
        self._due = 0 if self._lapsed.left else min((bank.due for bank in self._banks.values()), default=NEVER)


_stores: WeakSet[InMemoryBackend] = WeakSet()
_held: list[InMemoryBackend] = []


_forking = Lock()


def _before_fork() -> None:
    # With every lock held no charge is half done, so the child inherits whole states and, below, free locks.
    _forking.acquire()
    for store in tuple(_stores):
        store._lock.acquire()
        _held.append(store)


def _after_fork() -> None:
    while _held:
        _held.pop()._lock.release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
