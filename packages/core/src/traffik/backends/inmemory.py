"""The store in this process: exact for its tasks and threads, with nothing to operate.

A charge is decided under one lock that is never held across an await. Memory is given back without a background task,
a little at every hit (`traffik.backends.generations` says how). A full store forgets nothing that counts: keys beyond
`max_keys` share overflow buckets, so that none gets more than its quota, and their decisions say so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet, WeakValueDictionary

from traffik.backends import binding
from traffik.backends.base import Backend, Charge, Charger, Done
from traffik.backends.generations import FULL, Bank, Lapsed
from traffik.decisions import NEVER
from traffik.descriptions import describe
from traffik.notices import notify
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
        if not callable(clock):
            raise TypeError(
                f"a clock is a function that answers nanoseconds, such as time.monotonic_ns, not {describe(clock)}"
            )
        super().__init__(namespace=namespace)
        self.max_keys = max_keys
        self._clock = clock
        self._lock = RLock()
        # A bank lives as long as somebody may charge it or it holds keys; those that do are kept by themselves.
        self._banks: WeakValueDictionary[str, Bank] = WeakValueDictionary()
        self._filled: set[Bank] = set()
        self._lapsed = Lapsed()
        self._keys = 0
        self._due = NEVER
        _stores.add(self)

    @classmethod
    def spare(cls) -> InMemoryBackend:
        """A store for another store to fall back on: no throttle that names none will find it."""
        backend = cls()
        binding.hide(backend)
        return backend

    def __repr__(self) -> str:
        return f"<InMemoryBackend namespace={self.namespace!r} keys={self._keys} made at {self.place}>"

    @property
    def keys(self) -> int:
        """The keys held now, some of which may have lapsed."""
        return self._keys

    def charger(self, uid: str, plan: Plan) -> Charger:
        with self._lock:
            bank = self._banks.get(uid)
            if bank is None:
                bank = self._banks[uid] = Bank(plan)
        return self._charger(bank, plan)

    def _charger(self, bank: Bank, plan: Plan) -> Charger:
        """The hot path of the store: what it needs stands in local variables, and is looked up once."""
        acquire, release, clock, kernel = self._lock.acquire, self._lock.release, self._clock, plan.kernel

        def charge(key: str, cost: int) -> Decision:
            # This is `with self._lock:` at half its price. Taken inside the try, a lock is given back whenever a signal
            # strikes; one that is not held refuses to be, since it knows its owner.
            try:
                acquire()
                now = clock() // 1000
                if now >= self._due:
                    self._tidy(now)
                if bank.plan is not plan:
                    self._adopt(bank, plan)
                newest = bank.newest
                try:
                    state = newest[key]
                except KeyError:
                    return self._arrive(bank, plan, key, cost, now)
                decision, changed, ttl = kernel(state, cost, now)
                if changed is not None:
                    newest[key] = changed
                    if ttl > bank.longest:
                        bank.longest = ttl
                return decision
            finally:
                release()

        return charge

    def peek(self, uid: str, plan: Plan, key: str, cost: int) -> Decision:
        with self._lock:
            now = self._clock() // 1000
            bank = self._banks.get(uid)
            state = None
            if bank is not None and bank.plan.family == plan.family:
                state = bank.newest.get(key) or bank.find(key)[1]
        return plan.kernel(state, cost, now)[0] if cost else probe(plan.kernel, state, now)

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        with self._lock:
            return [
                self.peek(uid, plan, key, cost) if read_only else self.charge(uid, plan, key, cost)
                for uid, plan, key, cost, read_only in charges
            ]

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        return self.apply_sync(charges)

    def open(self) -> Done:
        self.open_sync()
        return Done()

    def open_sync(self) -> None:
        """There is nothing to get ready; but whoever is one of several workers is told."""
        from traffik.backends.workers import several_workers

        seen = several_workers()
        if seen is not None:
            notify(
                "several-workers",
                self.namespace,
                f"{self!r} counts in one process, and {seen}: a client has the whole limit from each of them. Share a "
                f"store: traffik.backends.lmdb.LMDBBackend() on one machine, traffik.backends.redis.RedisBackend(url) "
                f"on several",
            )

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
                banks = list(self._filled)
                self._lapsed = Lapsed()
            else:
                banks = [bank] if (bank := self._banks.get(uid)) is not None else []
            for bank in banks:
                if key is None:
                    self._empty(bank, bank.plan)
                else:
                    self._keys -= bank.forget(key)

    def _arrive(self, bank: Bank, plan: Plan, key: str, cost: int, now: int) -> Decision:
        """Charge a key that the newest generation of its throttle does not have: it moves up, or is new."""
        home, state = bank.find(key)
        shared = home is bank.overflow
        decision, state, ttl = plan.kernel(state, cost, now)
        if state is None:
            return decision._replace(degraded="overflow") if shared else decision
        if home is None or shared:
            if self._keys >= self.max_keys:
                bank.share(key, state, now + ttl)
                self._keep(bank)
                return decision._replace(degraded="overflow")
            self._keys += 1
        else:
            bank.leave(home, key)
        if len(bank.newest) >= FULL:
            bank.close(now)
        bank.newest[key] = state
        bank.wrote(ttl, now)
        self._keep(bank)
        return decision._replace(degraded="overflow") if shared else decision

    def _adopt(self, bank: Bank, plan: Plan) -> None:
        """Let another plan charge a bank, which is emptied if that plan could not read what is in it."""
        if bank.plan.family != plan.family:
            self._empty(bank, plan)
        bank.plan = plan

    def _empty(self, bank: Bank, plan: Plan) -> None:
        self._keys -= bank.size()
        bank.clear(plan)
        self._filled.discard(bank)

    def _keep(self, bank: Bank) -> None:
        """Hold on to a bank that now holds something, and see to it when it is due."""
        self._filled.add(bank)
        self._due = min(self._due, bank.due)

    def _tidy(self, now: int) -> None:
        """Begin new generations where that is due, let go of those that have lapsed, and free some of what has gone."""
        for bank in tuple(self._filled):
            if now >= bank.due:
                for generation in bank.turn(now):
                    self._keys -= len(generation)
                    self._lapsed.add(generation, now, bank.span // 2)
                if bank.empty:
                    self._filled.discard(bank)
        self._lapsed.free(now)
        self._due = 0 if self._lapsed.left else min((bank.due for bank in self._filled), default=NEVER)


_stores: WeakSet[InMemoryBackend] = WeakSet()
_held: list[InMemoryBackend] = []


def _before_fork() -> None:
    # With every lock held no charge is half done, so the child inherits whole states and, below, free locks. First the
    # one under which others come to wait for a store's.
    binding.lock.acquire()
    for store in tuple(_stores):
        store._lock.acquire()
        _held.append(store)


def _after_fork() -> None:
    while _held:
        _held.pop()._lock.release()
    binding.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
