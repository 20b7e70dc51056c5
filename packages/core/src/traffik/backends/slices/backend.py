"""The store for keys with more hits than one server can serve: it takes slices of a limit, and spends them in this
process.

It counts in another store, such as Redis. How units may be spent later than they were taken, so that no limit is ever
exceeded, is in `traffik.strategies.slicing`; the path of a hit in `sliced_limit`; the size of a slice in `hot_keys`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, ClassVar, Final
from weakref import WeakSet, WeakValueDictionary

from traffik.backends import binding
from traffik.backends.base import Backend, Calls, Charge
from traffik.backends.records import RecordBackend
from traffik.backends.slices.process import ProcessSlices
from traffik.backends.slices.sliced_limit import SlicedLimit
from traffik.model.coroutines import run_sync
from traffik.model.descriptions import describe
from traffik.strategies.slicing import Slicing, slicing_of

if TYPE_CHECKING:
    from traffik.backends.postings import LimitAccount, Posted, Posting, Take, Taken
    from traffik.backends.probes import StoreProbe
    from traffik.model.decisions import Decision
    from traffik.strategies import Plan

__all__ = ["SlicedBackend"]


def _usual_clock() -> Callable[[], int]:
    """A clock in ns that never goes back. On Linux it goes on while the machine is suspended, as that of a store."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns if boottime is None else partial(time.clock_gettime_ns, boottime)


class SlicedBackend(Backend):
    """A store that spends the quota of very hot keys in this process, and counts it in slices in another store.

    No limit is ever exceeded. Per key, a process leaves at most one slice unspent.

    Args:
        store: the store that counts, for all processes. Do not open it: this store does.
        share: the largest slice, as a part of the limit, above 0, at most 0.1. A limit whose largest slice would have
            less than two units is counted without slices, exactly as in `store`.
        life: how long a slice may be spent, as a part of the period, above 0, at most 0.1. A sliding window counts for
            this much longer. A life is at most a second; limits for which it is below a millisecond have no slices.
        clock: for tests: a function that returns nanoseconds that never go back.

    Raises:
        TypeError, ValueError: an argument is invalid.
    """

    kind: ClassVar[str] = "sliced"

    def __init__(
        self,
        store: Backend,
        *,
        share: float = 1 / 1000,
        life: float = 1 / 500,
        clock: Callable[[], int] | None = None,
    ) -> None:
        if not isinstance(store, Backend) or isinstance(store, SlicedBackend):
            raise TypeError(f"slices are taken from a store such as RedisBackend(url), not from {describe(store)}")
        for name, part in (("share", share), ("life", life)):
            if isinstance(part, bool) or not isinstance(part, int | float) or not 0 < part <= 0.1:
                raise ValueError(f"a {name} is a number above 0 and at most 0.1, not {part!r}")
        if clock is not None and not callable(clock):
            raise TypeError(f"a clock is a function that returns nanoseconds, not {describe(clock)}")
        self.store = store
        self._share = share
        self._life = life
        self._process = ProcessSlices(clock or _usual_clock())
        self._slicing = lru_cache(1024)(self._slicing_of)
        self._limits: WeakValueDictionary[tuple[object, ...], SlicedLimit] = WeakValueDictionary()
        binding.hide(store)
        follows = isinstance(store, RecordBackend) and not store.in_process
        super().__init__(namespace=store.namespace, changes_within=store.record.within if follows else None)
        _stores.add(self)

    def __repr__(self) -> str:
        return f"<SlicedBackend of {self.store!r}>"

    @property
    def probe(self) -> StoreProbe | None:
        """Takes samples of the store while something asks for them. A store has an attribute; this one passes it on."""
        return self._probe

    @probe.setter
    def probe(self, probe: StoreProbe | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - see above
        self._probe = self.store.probe = probe

    @property
    def spared(self) -> bool | None:
        return self.store.spared

    @property
    def may_answer_unavailable(self) -> bool:
        return self.store.may_answer_unavailable

    def _slicing_of(self, plan: Plan) -> Slicing | None:
        return slicing_of(plan, self._share, self._life)

    def _counted(self, plan: Plan) -> Plan:
        """The plan by which the store counts."""
        slicing = self._slicing(plan)
        return plan if slicing is None else slicing.plan

    def _charges(self, charges: Sequence[Charge]) -> list[Charge]:
        return [charge._replace(plan=self._counted(charge.plan)) for charge in charges]

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        return await self.store.apply(self._charges(charges))

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        return self.store.apply_sync(self._charges(charges))

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        slicing = self._slicing(plan)
        if slicing is None:
            return self.store.prepare(uid, plan, sync=sync)
        counted = slicing.plan
        # limits with the same definition share the slices of a key
        place = (uid, counted.strategy, counted.rates)
        with self._process.lock:
            limit = self._limits.get(place)
            if limit is None:
                limit = self._limits[place] = SlicedLimit(self._process, self.store, uid, slicing)
        return limit.calls(self.store.prepare(uid, counted, sync=sync), sync=sync)

    def account(self, uid: str, plan: Plan) -> LimitAccount:
        """One limit in the store that counts. Takes and postings do not use slices."""
        return self.store.account(uid, self._counted(plan))

    def take(
        self, takes: Sequence[Take], kind: int, *, sync: bool, back: Sequence[Posting] = ()
    ) -> Taken | Awaitable[Taken]:
        return self.store.take(takes, kind, sync=sync, back=back)

    def post(self, postings: Sequence[Posting], *, sync: bool) -> list[Posted] | Awaitable[list[Posted]]:
        return self.store.post(postings, sync=sync)

    def partition_key(self, uid: str, key: str) -> str:
        return self.store.partition_key(uid, key)

    def open(self) -> Awaitable[None]:
        return self.store.open()

    def open_sync(self) -> None:
        self.store.open_sync()

    async def close(self) -> None:
        """Give back all units that have not been spent, and close the store."""
        self.record.stop()
        await self._process.give_back_all(sync=False)
        await self.store.close()

    def close_sync(self) -> None:
        """`close` for sync code."""
        self.record.stop()
        run_sync(self._process.give_back_all(sync=True))
        self.store.close_sync()

    def read_record_sync(self) -> bytes | None:
        """The record in the store that counts; see `traffik.backends.records`."""
        return self.store.record.load()

    def swap_record_sync(self, before: bytes | None, after: bytes) -> bool:
        """Write the record in the store that counts."""
        return self.store.record.swap(before, after)

    async def reset(self, uid: str | None = None, key: str | None = None) -> None:
        self._forget(uid, key)
        await self.store.reset(uid, key)

    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        self._forget(uid, key)
        self.store.reset_sync(uid, key)

    def _forget(self, uid: str | None, key: str | None) -> None:
        """Stop spending slices whose units the store is about to forget."""
        for (its_uid, *_), limit in list(self._limits.items()):
            if uid in {None, its_uid}:
                limit.forget(key)

    def _after_fork_in_child(self) -> None:
        # The slices belong to the parent, which spends them or gives them back.
        self._process.forget()
        for limit in list(self._limits.values()):
            limit.after_fork()


_stores: Final[WeakSet[SlicedBackend]] = WeakSet()
_held: Final[list[SlicedBackend]] = []


def _before_fork() -> None:
    # As in the store in memory: while all locks are held, no slice is half taken. A thread may wait for the lock of a
    # store while it holds that of the bindings, so that one comes first.
    binding.lock.acquire()
    for store in tuple(_stores):
        store._process.lock.acquire()
        _held.append(store)


def _after_fork() -> None:
    while _held:
        _held.pop()._process.lock.release()
    binding.lock.release()


def _after_fork_in_child() -> None:
    for store in _held:
        store._after_fork_in_child()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
