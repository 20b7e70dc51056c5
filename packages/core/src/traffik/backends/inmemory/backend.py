"""The store in the memory of this process: exact for its tasks and threads, and needs no server.

The charge of a known key needs no lock. If another thread has changed the key meanwhile, it is decided again under the
lock, as new keys are. The lock is never held across an await. Each hit frees a little memory, so there is no background
task (see `traffik.backends.inmemory.expired`). A full store forgets no key before it expires: keys beyond `max_keys`
share overflow buckets, so no client gets more than its quota. Their decisions are marked as degraded.

A signal handler may hit while its own thread is in the store. Its hit is counted exactly, or refused as unavailable
while keys move from one table to another.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, ClassVar, Final, ParamSpec, TypeVar
from weakref import WeakSet, WeakValueDictionary

from traffik.backends import binding
from traffik.backends.base import Backend, Calls, Charge, Done
from traffik.backends.clocks import plan_on
from traffik.backends.inmemory.accounts import MemoryAccount, as_counted_now, fetch_state, mark_shared, take_known
from traffik.backends.inmemory.expired import Expired
from traffik.backends.inmemory.tables import FULL, KeyTable
from traffik.backends.postings import TAKE, Posted, Taken, post_each, take_together
from traffik.model.decisions import NEVER, UNAVAILABLE, Decision
from traffik.model.descriptions import describe
from traffik.notices import notify
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.backends.postings import Posting, Take
    from traffik.strategies import Plan, State

__all__ = ["InMemoryBackend", "set_default_clock", "stores"]

_ONE_STEP: Final = sys.implementation.name == "cpython" and "free-threading" not in sys.version
"""Whether other threads and signal handlers run only at calls and in loops."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class InMemoryBackend(Backend):
    """A store in the memory of this process, for all its tasks, threads and event loops.

    Args:
        namespace: the first part of every key.
        max_keys: the most keys, at least 1. Further keys share overflow buckets.
        clock: for tests: a function that returns nanoseconds that never go back; `time.monotonic_ns` if None.
    """

    kind: ClassVar[str] = "memory"
    in_process: ClassVar[bool] = True

    def __init__(
        self,
        *,
        namespace: str = "traffik",
        max_keys: int = 2_000_000,
        clock: Callable[[], int] | None = None,
    ) -> None:
        if type(max_keys) is not int or max_keys < 1:
            raise ValueError(f"max_keys is an integer from 1, not {max_keys!r}")
        if clock is not None and not callable(clock):
            raise TypeError(
                f"a clock is a function that returns nanoseconds, such as time.monotonic_ns, not {describe(clock)}"
            )
        super().__init__(namespace=namespace)
        self._record: bytes | None = None
        self.max_keys = max_keys
        self._clock = _default_clock if clock is None else clock
        self._lock = RLock()
        # A table is kept while a limit refers to it. Tables with keys are kept in `_filled` too.
        self._tables: WeakValueDictionary[str, KeyTable] = WeakValueDictionary()
        self._filled: set[KeyTable] = set()
        self._expired = Expired()
        self._keys = 0
        self._due = NEVER
        self._moving = False
        """Whether keys are being moved. Only a signal handler in the thread that moves them can find this true."""
        _stores.add(self)

    @classmethod
    def spare(cls, *, clock: Callable[[], int] | None = None) -> InMemoryBackend:
        """A store that throttles without a `backend` never use, such as the fallback of another store."""
        backend = cls(clock=clock)
        binding.hide(backend)
        return backend

    def __repr__(self) -> str:
        return f"<InMemoryBackend namespace={self.namespace!r} keys={self._keys} made at {self.place}>"

    @property
    def keys(self) -> int:
        """The number of keys in the store, some of which may have expired."""
        return self._keys

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        """The calls for one limit. They never wait, so async and sync code share them."""
        account = self.account(uid, plan)
        charge, read = self._charger(account.table, account.plan), self._reader(account)
        return Calls(charge, read, lambda key: self.reset_sync(uid, key), account)

    def account(self, uid: str, plan: Plan) -> MemoryAccount:
        plan = plan_on(self._clock, plan)
        return MemoryAccount(self, uid, plan, self._table(uid, plan))

    def _table(self, uid: str, plan: Plan) -> KeyTable:
        with self._lock:
            table = self._tables.get(uid)
            if table is None:
                table = self._tables[uid] = KeyTable(plan)
        return table

    def _charger(self, table: KeyTable, plan: Plan) -> Callable[[str, int], Decision]:
        """The hot path of the store: the charge of a key in the newest generation, without the lock."""
        clock, kernel = self._clock, plan.kernel

        def charge(key: str, cost: int) -> Decision:
            newest = table.newest
            try:
                state = newest[key]
            except KeyError:
                return self._charge(table, plan, key, cost)
            if table.plan is plan and (now := clock() // 1000) < self._due:
                decision, changed, ttl = kernel(state, cost, now)
                # Another thread or a signal handler may have changed the key since it was read. CPython runs them only
                # at calls and in loops. There are none from here on, so the rest is one step for them.
                if not self._moving and table.newest is newest and key in newest and newest[key] is state:
                    if changed is not None:
                        newest[key] = changed
                        if ttl > table.longest:
                            table.longest = ttl
                    return decision
            return self._charge(table, plan, key, cost)

        return charge if _ONE_STEP else partial(self._charge, table, plan)

    def _charge(self, table: KeyTable, plan: Plan, key: str, cost: int) -> Decision:
        """Charge a key under the lock: one of any generation, or a new one."""
        with self._lock:
            return _busy(plan) if self._moving else self._exclusively(self._decide, table, plan, key, cost)

    def _decide(self, table: KeyTable, plan: Plan, key: str, cost: int) -> Decision:
        now = self._now()
        if table.plan is not plan:
            self._adopt(table, plan)
        home, state = table.find(key)
        shared = home is table.overflow
        decision, state, ttl = plan.kernel(state, cost, now)
        if state is not None:
            shared = self._write_to(table, home, key, state, ttl, now) or shared
        return decision._replace(degraded="overflow") if shared else decision

    def _reader(self, account: MemoryAccount) -> Callable[[str, int], Decision]:
        kernel = account.plan.kernel

        def read(key: str, cost: int) -> Decision:
            with self._lock:
                state = fetch_state(account, key)
                now = self._clock() // 1000
            return kernel(state, cost, now)[0] if cost else probe(kernel, state, now)

        return read

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        with self._lock:
            if self._moving:
                return [_busy(charge.plan) for charge in charges]
            return self._exclusively(lambda: [self._apply(*charge) for charge in charges])

    def _apply(self, uid: str, plan: Plan, key: str, cost: int, read_only: bool) -> Decision:
        account = self.account(uid, plan)
        return self._reader(account)(key, cost) if read_only else self._decide(account.table, account.plan, key, cost)

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        return self.apply_sync(charges)

    def open(self) -> Done:
        self.open_sync()
        return Done()

    def open_sync(self) -> None:
        """Nothing to set up; warns if this process is one of several workers."""
        from traffik.notices.workers import several_workers

        seen = several_workers()
        if seen is not None:
            notify(
                "several-workers",
                self.namespace,
                f"{self!r} counts in one process, and {seen}: a client gets the whole limit in each of them. Use a "
                f"shared store: traffik.backends.lmdb.LMDBBackend() on one machine, "
                f"traffik.backends.redis.RedisBackend(url) on several",
            )

    def close(self) -> Done:
        """Forget everything, before this returns; awaiting it is optional. The store remains usable."""
        return self.reset()

    def close_sync(self) -> None:
        self.reset_sync()

    def reset(self, uid: str | None = None, key: str | None = None) -> Done:
        """Forget usage, before this returns; awaiting it is optional.

        Args:
            uid: forget only this throttle; all if None.
            key: forget only this local key of the throttle (or its overflow bucket, if it was counted in one).
        """
        self.reset_sync(uid, key)
        return Done()

    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        if uid is None and key is not None:
            raise ValueError(f"to reset the key {key!r}, give the uid of its throttle too")
        with self._lock:
            if uid is None:
                tables = list(self._filled)
                self._expired = Expired()
            else:
                tables = [table] if (table := self._tables.get(uid)) is not None else []
            self._exclusively(self._forget, tables, key)

    def _forget(self, tables: list[KeyTable], key: str | None) -> None:
        for table in tables:
            if key is None:
                self._empty(table, table.plan)
            else:
                self._keys -= table.forget(key)

    def _exclusively(self, move: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Call a function that moves keys, and refuse the hits of signal handlers meanwhile."""
        self._moving = True
        try:
            return move(*arguments, **named)
        finally:
            self._moving = False

    def _write_to(
        self, table: KeyTable, home: dict[str, State] | None, key: str, state: State, ttl: int, now: int
    ) -> bool:
        """Write a state to the newest generation, or to a shared bucket if full. Returns whether it used a bucket."""
        if home is table.newest:
            table.newest[key] = state
            table.longest = max(table.longest, ttl)
            return False
        if home is None or home is table.overflow:
            if self._keys >= self.max_keys:
                table.share(key, state, now + ttl)
                self._keep(table)
                return True
            self._keys += 1
        else:
            table.leave(home, key)
        if len(table.newest) >= FULL:
            table.close(now)
        table.newest[key] = state
        table.wrote(ttl, now)
        self._keep(table)
        return False

    def take(self, takes: Sequence[Take], kind: int, *, sync: bool, back: Sequence[Posting] = ()) -> Taken:
        with self._lock:
            if self._moving:
                return Taken([_busy(account.plan) for account, _, _ in takes])
            self._moving = True
            try:
                return self._take(takes, kind, back)
            finally:
                self._moving = False

    def _take(self, takes: Sequence[Take], kind: int, back: Sequence[Posting]) -> Taken:
        now = self._now()
        if kind == TAKE and not back and (known := take_known(takes, now)) is not None:
            return known
        post_each([*map(as_counted_now, back)], now, fetch_state, self._write)
        taken = take_together(takes, kind, now, fetch_state, self._write)
        mark_shared(takes, taken.decisions)
        return taken

    def post(self, postings: Sequence[Posting], *, sync: bool) -> list[Posted]:
        with self._lock:
            if self._moving:
                return [Posted(_busy(posting.account.plan)) for posting in postings]
            asked = [*map(as_counted_now, postings)]
            return self._exclusively(lambda: post_each(asked, self._now(), fetch_state, self._write))

    def read_record_sync(self) -> bytes | None:
        return self._record

    def swap_record_sync(self, before: bytes | None, after: bytes) -> bool:
        with self._lock:
            if self._record != before:
                return False
            self._record = after
        return True

    def _now(self) -> int:
        """The time in µs. Frees expired keys first, if that is due."""
        now = self._clock() // 1000
        if now >= self._due:
            self._tidy(now)
        return now

    def _write(self, account: MemoryAccount, key: str, state: State, ttl: int, now: int) -> None:
        """Write the state of a key."""
        table = account.table
        if table.plan is not account.plan:
            self._adopt(table, account.plan)
        self._write_to(table, table.find(key)[0], key, state, ttl, now)

    def _adopt(self, table: KeyTable, plan: Plan) -> None:
        """Use another plan for a table, and empty the table if that plan cannot read its states."""
        if table.plan.family in plan.siblings:
            self._keys -= table.convert(plan)
        elif table.plan.family != plan.family:
            self._empty(table, plan)
        else:
            table.plan = plan

    def _empty(self, table: KeyTable, plan: Plan) -> None:
        self._keys -= table.size()
        table.clear(plan)
        self._filled.discard(table)

    def _keep(self, table: KeyTable) -> None:
        """Keep a table that now has keys, and rotate it when that is due."""
        self._filled.add(table)
        self._due = min(self._due, table.due)

    def _tidy(self, now: int) -> None:
        """Rotate the tables that are due, collect the expired generations, and free some of their keys.

        Then copy a few others, if that frees much more memory.
        """
        for table in tuple(self._filled):
            if now >= table.due:
                for generation in table.rotate(now):
                    self._keys -= len(generation)
                    self._expired.add(generation, now, table.span // 2)
                if table.empty:
                    self._filled.discard(table)
        self._expired.free(now)
        more = self._expired.copy_others(self._filled, self._keys)
        self._due = 0 if more else min((table.due for table in self._filled), default=NEVER)


def _busy(plan: Plan) -> Decision:
    """The refusal of a hit in a signal handler while its own thread moves keys, when the store cannot decide."""
    return Decision(False, plan.capacity, 0, retry_after=1_000, reset_after=1_000, degraded=UNAVAILABLE)


_stores: WeakSet[InMemoryBackend] = WeakSet()
_default_clock: Callable[[], int] = time.monotonic_ns


def stores() -> tuple[InMemoryBackend, ...]:
    """All in-memory stores of this process, the fallbacks of other stores included."""
    return tuple(_stores)


def set_default_clock(clock: Callable[[], int]) -> Callable[[], int]:
    """Set the clock of all stores that were not given one, for tests. Returns the previous one.

    The prepared calls of a limit use the old clock until they are prepared again.
    """
    global _default_clock
    before, _default_clock = _default_clock, clock
    for store in stores():
        if store._clock is before:
            store._clock = clock
    return before


_held: list[InMemoryBackend] = []


def _before_fork() -> None:
    # While all locks are held, no charge is half done, so the child inherits consistent states, and `_after_fork` frees
    # the locks. The lock of the bindings comes first, since a thread may wait for a store's lock while holding it.
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
