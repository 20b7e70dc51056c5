"""Passes items from the path of a hit to slow code: a bounded queue, and a thread that empties it.

`Delivery.put` never waits. The thread starts with the first item. It sleeps while there are no items. While
there are, it takes all that have come every tenth of a second, or as soon as the queue is half full. After a fork, the
child begins with an empty queue.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager, suppress
from threading import RLock, Thread
from time import monotonic
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from traffik.model.coroutines import must_wait, run_sync

__all__ = ["Delivery", "lost"]

_T = TypeVar("_T")

_INTERVAL: Final = 0.1
"""Seconds for which items are collected."""

_SOON: Final = 0.01
"""Seconds between the wake of the thread and the item for which it was woken, with much to spare."""

_IDLE: Final = 1.0
"""Seconds after which an idle thread looks into the queue in any case."""

_QUIET: Final = 60.0
"""Seconds between two log messages about the same delivery."""

_AT_EXIT: Final = 1.0
"""Seconds that the end of the program waits for each delivery."""

_TOGETHER: Final = 256
"""Items that are taken from the queue together. More would need more memory, and so more time for each."""

_log: Final = logging.getLogger("traffik.events")


lost: Final[Counter[str]] = Counter()
"""Items that all deliveries of this process have lost: ``"dropped"``, or taken with an ``"error"``."""


class Delivery(Generic[_T]):
    """A bounded queue, and the thread that hands each item to a function.

    Args:
        name: names the thread, and the delivery in log messages.
        receive: called with each item.
        capacity: items that may wait, at least 2. More are dropped.
        awaits: whether `receive` returns awaitables. They are awaited in an event loop of the thread.
        prepare: makes what `receive` is called with of several items, in the thread. If None, it is the items.

    Attributes:
        queue: the items that wait.
        mark: the number of waiting items below which an item may be appended to `queue` directly.
        delivered: items that `receive` took without an error.
        dropped: items that found the queue full.
        errors: items for which `receive` raised an error.
    """

    def __init__(
        self,
        name: str,
        receive: Callable[[Any], object],
        capacity: int,
        *,
        awaits: bool = False,
        prepare: Callable[[list[_T]], Iterable[Any]] | None = None,
    ) -> None:
        self.name = name
        self.capacity = capacity
        self.delivered: int = 0
        self.dropped: int = 0
        self.errors: int = 0
        self._receive = receive
        self._awaits = awaits
        self._prepare = prepare
        self.queue: list[_T] = []  # items are appended and taken in one step each, so threads need no lock
        self.closed: bool = False
        self._begin()
        _deliveries.add(self)

    def _begin(self) -> None:
        """Start without a thread: in a new delivery, and in a forked process."""
        self.queue.clear()
        self.mark: int = 0
        self._thread: Thread | None = None
        self._lock = RLock()  # a signal handler may hit while its thread holds it
        self._wake = threading.Lock()  # held while the thread need not wake
        self._wake.acquire()
        self._waited: list[threading.Event] = []  # by `flush`
        self._told = 0
        self._quiet_until = 0.0

    def put(self, item: _T) -> None:
        """Add an item, unless the queue is full. Never waits."""
        if len(self.queue) < self.mark or self.has_room():
            self.queue.append(item)

    def has_room(self) -> bool:
        """Whether an item may be appended to `queue`; counts it as dropped if not, and wakes the thread."""
        waiting = len(self.queue)
        if waiting >= self.capacity or (self._thread is None and not self._start()):
            self.dropped += 1
            lost["dropped"] += 1
            return False
        # When the queue is half full the thread is woken once; after that only a full queue matters.
        half = self.capacity // 2
        self.mark = self.capacity if waiting >= half else half
        self._rouse()
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until everything put so far has been delivered, `timeout` seconds at most; whether it has."""
        if threading.current_thread() is self._thread:
            return False
        delivered = threading.Event()
        with self._lock:
            if not self.queue and not self._busy:
                return True
            if self._thread is None and not self._start():
                return False
            self._waited.append(delivered)
        self._rouse()
        return delivered.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Take no more items; wait until the rest has been delivered, `timeout` seconds at most; whether it has."""
        done = self.flush(timeout)
        self.closed = True
        self._rouse()
        return done

    _busy = False
    """Whether items taken from the queue are being delivered."""

    def _start(self) -> bool:
        with self._lock:
            if self._thread is None:
                thread = Thread(target=self._work, name=f"traffik {self.name}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the program ends, or there are too many threads
                    return False
                self._thread = thread
        return True

    def _rouse(self) -> None:
        with suppress(RuntimeError):  # it has been woken already
            self._wake.release()

    def _work(self) -> None:
        with self._loop() as run:
            while self._rest():
                self._busy = True
                with self._lock:
                    waited, self._waited = self._waited, []
                for left in range(len(self.queue), 0, -_TOGETHER):
                    run(self._deliver(min(left, _TOGETHER)))
                self.mark = self.capacity // 2
                self._busy = False
                for delivered in waited:
                    delivered.set()
                self._tell_of_drops()

    @contextmanager
    def _loop(self) -> Generator[Callable[[Coroutine[Any, Any, None]], None], None, None]:
        """The function that runs coroutines in the thread: in an event loop if they wait."""
        if not self._awaits:
            yield run_sync
            return
        from asyncio import Runner  # here, since only async functions need it

        with Runner() as runner:
            yield runner.run

    def _rest(self) -> bool:
        """Sleep until there are items to deliver; False if there will be no more."""
        if not self.closed:
            self._wake.acquire(timeout=_INTERVAL)
        while not (self.queue or self._waited):
            if self.closed:
                return False
            self.mark = 0  # so that the next item wakes this thread
            if not self.queue and self._wake.acquire(timeout=_IDLE):
                self._wake.acquire(timeout=_SOON)
        return True

    async def _deliver(self, count: int) -> None:
        """Take so many items, and call `receive` for each."""
        items = self.queue[:count]
        del self.queue[:count]
        receive = self._receive
        try:
            prepared = items if self._prepare is None else self._prepare(items)
        except Exception:  # noqa: BLE001 - the thread must go on with the next items
            self._failed(len(items))
            return
        for item in prepared:
            try:
                answer = receive(item)
                if answer is not None and must_wait(answer, self.name, not self._awaits):
                    await answer
            except Exception:  # noqa: BLE001 - a listener may raise anything
                self._failed()
            else:
                self.delivered += 1

    def _failed(self, items: int = 1) -> None:
        self.errors += items
        lost["error"] += items
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            _log.exception("%s failed for an event (%d so far)", self.name, self.errors)

    def _tell_of_drops(self) -> None:
        now = monotonic()
        if self.dropped > self._told and now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            self._told = self.dropped
            _log.warning("%s is too slow: %d events were dropped so far", self.name, self.dropped)


_deliveries: Final[WeakSet[Delivery[Any]]] = WeakSet()


def _after_fork_in_child() -> None:
    lost.clear()
    for delivery in tuple(_deliveries):
        delivery.delivered = delivery.dropped = delivery.errors = 0
        delivery._begin()


def _at_exit() -> None:
    until = monotonic() + _AT_EXIT
    for delivery in tuple(_deliveries):
        if delivery.queue or delivery._busy:
            delivery.flush(max(0.0, until - monotonic()))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
