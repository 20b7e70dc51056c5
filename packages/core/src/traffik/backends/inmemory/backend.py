"""The store in this process: exact for its tasks and threads, with nothing to operate.

A charge is decided under one lock that is never held across an await. Memory is freed a little at every hit, without a
background task (see `traffik.backends.inmemory.tables`). A full store never forgets a key that is out of quota: keys
beyond `max_keys` share overflow buckets, so that none gets more than its quota, and their decisions say so.

A signal handler may hit while its own thread is in the store. Its hit is counted exactly, or refused as unavailable
while keys move from one table to another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, ClassVar, ParamSpec, TypeVar
from weakref import WeakSet, WeakValueDictionary

from traffik.backends import binding
from traffik.backends.base import Backend, Calls, Charge, Done
from traffik.backends.clocks import plan_on
from traffik.backends.inmemory.accounts import MemoryAccount, fetch_state, state_in
from traffik.backends.inmemory.tables import FULL, Expired, KeyTable
from traffik.backends.postings import Posted, Taken, post_each, take_together
from traffik.model.decisions import NEVER, UNAVAILABLE, Decision
from traffik.model.descriptions import describe
from traffik.notices import notify
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.backends.postings import Posting, Take
    from traffik.strategies import Plan, State

__all__ = ["InMemoryBackend", "set_default_clock", "stores"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class InMemoryBackend(Backend):
    """Quota in the memory of this process, for all its tasks, threads and event loops.

    Args:
        namespace: the first part of every key.
        max_keys: live keys, at least 1, above which new ones share overflow buckets.
        clock: a function that returns nanoseconds that never go back. For tests; `time.monotonic_ns` if None.
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
                f"a clock is a function that answers nanoseconds, such as time.monotonic_ns, not {describe(clock)}"
            )
        super().__init__(namespace=namespace)
        self.max_keys = max_keys
        self._clock = _default_clock if clock is None else clock
        self._lock = RLock()
        # A bank lives as long as somebody may charge it or it holds keys; those that do are kept by themselves.
        self._banks: WeakValueDictionary[str, KeyTable] = WeakValueDictionary()
        self._filled: set[KeyTable] = set()
        self._lapsed = Expired()
        self._keys = 0
        self._due = NEVER
        self._moving = False
        """Whether keys are being moved. Only a signal handler can see that, in the thread that moves them."""
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

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        """The calls for one limit. They never wait, so async and sync code share them."""
        account = self.account(uid, plan)
        charge, read = self._charger(account.bank, account.plan), self._reader(account.bank, account.plan)
        return Calls(charge, read, lambda key: self.reset_sync(uid, key), account)

    def account(self, uid: str, plan: Plan) -> MemoryAccount:
        plan = plan_on(self._clock, plan)
        return MemoryAccount(self, uid, plan, self._bank(uid, plan))

    def _bank(self, uid: str, plan: Plan) -> KeyTable:
        with self._lock:
            bank = self._banks.get(uid)
            if bank is None:
                bank = self._banks[uid] = KeyTable(plan)
        return bank

    def _charger(self, bank: KeyTable, plan: Plan) -> Callable[[str, int], Decision]:
        """The hot path of the store: everything it needs is a local variable."""
        acquire, release, clock, kernel = self._lock.acquire, self._lock.release, self._clock, plan.kernel

        def charge(key: str, cost: int) -> Decision:
            # Half the price of `with self._lock:`. Acquired inside the try, a lock is released even if a signal strikes
            # in between; an RLock that is not held refuses to be released, since it knows its owner.
            try:
                acquire()
                while not self._moving:
                    now = clock() // 1000
                    if now >= self._due:
                        self._exclusively(self._tidy, now)
                    if bank.plan is not plan:
                        self._exclusively(self._adopt, bank, plan)
                    newest = bank.newest
                    try:
                        state = newest[key]
                    except KeyError:
                        return self._exclusively(self._arrive, bank, plan, key, cost, now)
                    decision, changed, ttl = kernel(state, cost, now)
                    if changed is None:
                        return decision
                    # A signal handler may have charged or reset this key since it was read; then decide again. Python
                    # handles no signal between this comparison and the assignment: no call stands between them.
                    if bank.newest is newest and key in newest and newest[key] is state:
                        newest[key] = changed
                        if ttl > bank.longest:
                            bank.longest = ttl
                        return decision
                return _busy(plan)
            finally:
                release()

        return charge

    def _reader(self, bank: KeyTable, plan: Plan) -> Callable[[str, int], Decision]:
        kernel = plan.kernel

        def read(key: str, cost: int) -> Decision:
            with self._lock:
                now = self._clock() // 1000
                state = state_in(bank, plan, key)
            return kernel(state, cost, now)[0] if cost else probe(kernel, state, now)

        return read

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        with self._lock:
            return [self._apply(*charge) for charge in charges]

    def _apply(self, uid: str, plan: Plan, key: str, cost: int, read_only: bool) -> Decision:
        plan = plan_on(self._clock, plan)
        bank = self._bank(uid, plan)
        return (self._reader(bank, plan) if read_only else self._charger(bank, plan))(key, cost)

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
                self._lapsed = Expired()
            else:
                banks = [bank] if (bank := self._banks.get(uid)) is not None else []
            self._exclusively(self._forget, banks, key)

    def _forget(self, banks: list[KeyTable], key: str | None) -> None:
        for bank in banks:
            if key is None:
                self._empty(bank, bank.plan)
            else:
                self._keys -= bank.forget(key)

    def _exclusively(self, move: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Call what moves keys, and refuse the hits of signal handlers meanwhile."""
        self._moving = True
        try:
            return move(*arguments, **named)
        finally:
            self._moving = False

    def _arrive(self, bank: KeyTable, plan: Plan, key: str, cost: int, now: int) -> Decision:
        """Charge a key that the newest generation of its throttle does not have: it moves up, or is new."""
        home, state = bank.find(key)
        shared = home is bank.overflow
        decision, state, ttl = plan.kernel(state, cost, now)
        if state is not None:
            shared = self._move_up(bank, home, key, state, ttl, now) or shared
        return decision._replace(degraded="overflow") if shared else decision

    def _move_up(
        self, bank: KeyTable, home: dict[str, State] | None, key: str, state: State, ttl: int, now: int
    ) -> bool:
        """Keep the state of a key that was in `home` in the newest generation; True if it shares a bucket instead."""
        if home is None or home is bank.overflow:
            if self._keys >= self.max_keys:
                bank.share(key, state, now + ttl)
                self._keep(bank)
                return True
            self._keys += 1
        else:
            bank.leave(home, key)
        if len(bank.newest) >= FULL:
            bank.close(now)
        bank.newest[key] = state
        bank.wrote(ttl, now)
        self._keep(bank)
        return False

    def take(self, takes: Sequence[Take], kind: int, *, sync: bool, back: Sequence[Posting] = ()) -> Taken:
        with self._lock:
            if self._moving:
                return Taken([_busy(account.plan) for account, _, _ in takes])
            return self._exclusively(self._take, takes, kind, back)

    def _take(self, takes: Sequence[Take], kind: int, back: Sequence[Posting]) -> Taken:
        now = self._now()
        if back:
            post_each(back, now, fetch_state, self._write)
        taken = take_together(takes, kind, now, fetch_state, self._write)
        for place, (account, key, _) in enumerate(takes):
            if account.bank.overflow and account.bank.shares(key):
                taken.decisions[place] = taken.decisions[place]._replace(degraded="overflow")
        return taken

    def post(self, postings: Sequence[Posting], *, sync: bool) -> list[Posted]:
        with self._lock:
            if self._moving:
                return [Posted(_busy(posting.account.plan)) for posting in postings]
            return self._exclusively(lambda: post_each(postings, self._now(), fetch_state, self._write))

    def _now(self) -> int:
        """The time in µs, after what is due by then."""
        now = self._clock() // 1000
        if now >= self._due:
            self._tidy(now)
        return now

    def _write(self, account: MemoryAccount, key: str, state: State, ttl: int, now: int) -> None:
        """Keep the state of a key."""
        bank = account.bank
        if bank.plan is not account.plan:
            self._adopt(bank, account.plan)
        if key in bank.newest:
            bank.newest[key] = state
            bank.longest = max(bank.longest, ttl)
        else:
            self._move_up(bank, bank.find(key)[0], key, state, ttl, now)

    def _adopt(self, bank: KeyTable, plan: Plan) -> None:
        """Let another plan charge a bank, which is emptied if that plan cannot read what is in it."""
        if bank.plan.family == plan.sibling:
            self._keys -= bank.convert(plan.from_sibling)
        elif bank.plan.family != plan.family:
            self._empty(bank, plan)
        bank.plan = plan

    def _empty(self, bank: KeyTable, plan: Plan) -> None:
        self._keys -= bank.size()
        bank.clear(plan)
        self._filled.discard(bank)

    def _keep(self, bank: KeyTable) -> None:
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


def _busy(plan: Plan) -> Decision:
    """The answer to a signal handler that hits while its own thread moves keys: the store cannot decide now."""
    return Decision(False, plan.capacity, 0, retry_after=1_000, reset_after=1_000, degraded=UNAVAILABLE)


_stores: WeakSet[InMemoryBackend] = WeakSet()
_default_clock: Callable[[], int] = time.monotonic_ns


def stores() -> tuple[InMemoryBackend, ...]:
    """All stores in memory of this process, also those that other stores fall back on."""
    return tuple(_stores)


def set_default_clock(clock: Callable[[], int]) -> Callable[[], int]:
    """Let stores without a clock of their own follow `clock`, for tests; returns what they followed before.

    What was prepared for a limit follows the old clock until it is prepared again.
    """
    global _default_clock
    before, _default_clock = _default_clock, clock
    for store in stores():
        if store._clock is before:
            store._clock = clock
    return before


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
