"""Queues of callers that wait for the quota of one key: first come, first served, tasks and threads in one order.

There is one queue for each key of a limit in a store, as long as a caller waits for it. Only the first in a queue asks
the store. Queues belong to the process: other processes have their own queues.
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.model.decisions import Decision

__all__ = ["QueueKey", "TaskWaiter", "ThreadWaiter", "WaitQueue", "Waiter", "call_soon", "enqueue", "leave", "wake"]

QueueKey: TypeAlias = "tuple[Backend, str, str]"
"""The store, the uid of the limit and the local key."""


class ThreadWaiter:
    """A thread in a queue.

    Its `rest` blocks instead of suspending, so that `traffik.model.coroutines.run_sync` can step it.

    Args:
        deadline: the time, on the clock of `timing`, at which it gives up; None for never.
    """

    __slots__ = ("_gate", "deadline")

    def __init__(self, deadline: int | None) -> None:
        self.deadline: int | None = deadline
        # Not an Event, which stays locked if a signal handler raises an error in the thread that sets it.
        self._gate = Lock()
        self._gate.acquire()

    def prepare(self) -> None:
        """Get ready to be woken. Called once, before the first `rest`."""

    def wake(self) -> bool:
        """End its `rest`, from any thread. False if its event loop has ended."""
        with suppress(RuntimeError):  # woken already
            self._gate.release()
        return True

    async def rest(self, wait: int | None) -> None:
        """Wait for a call of `wake`, at most `wait` µs. May end early."""
        self._gate.acquire(timeout=-1 if wait is None else wait / 1_000_000)


class TaskWaiter:
    """A task in a queue, under asyncio or trio; see `ThreadWaiter`."""

    __slots__ = ("_call_soon", "_event", "deadline")

    def __init__(self, deadline: int | None) -> None:
        self.deadline: int | None = deadline
        self._event: Any = None
        self._call_soon: Callable[[Callable[[], object]], object] | None = None

    def prepare(self) -> None:
        import anyio  # here, since only a wait in the queue needs it

        self._event = anyio.Event()
        self._call_soon = call_soon()

    def wake(self) -> bool:
        if self._call_soon is not None:
            try:
                self._call_soon(self._event.set)
            except RuntimeError:  # its event loop has ended
                return False
        return True

    async def rest(self, wait: int | None) -> None:
        import anyio

        with anyio.move_on_after(None if wait is None else wait / 1_000_000):
            await self._event.wait()
        self._event = anyio.Event()


Waiter: TypeAlias = TaskWaiter | ThreadWaiter


class WaitQueue:
    """The waiters for one key, in order.

    Attributes:
        refusal: the last decision that the first waiter got, if that is asleep until `due`.
        due: when the first waiter asks again, on the clock of `timing`; 0 if it is not asleep.
    """

    __slots__ = ("_deadlines", "_waiters", "due", "refusal")

    def __init__(self) -> None:
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        self._deadlines: list[tuple[int, int, Waiter]] = []
        self.refusal: Decision | None = None
        self.due: int = 0

    @property
    def first(self) -> Waiter | None:
        """The waiter that may ask the store."""
        return next(iter(self._waiters), None)

    def announce(self, refusal: Decision, due: int) -> None:
        """Note that the first waiter sleeps until `due`, and wake those that give up before."""
        late: list[Waiter] = []
        with _lock:
            self.refusal, self.due = refusal, due
            while self._deadlines and self._deadlines[0][0] < due:
                late.append(heappop(self._deadlines)[2])
        for waiter in late:
            waiter.wake()

    def remove(self, waiter: Waiter) -> Waiter | None:
        """Remove a waiter. Returns the new first one if the old one was removed."""
        was_first = self.first is waiter
        self._waiters.pop(waiter, None)
        if not was_first:
            return None
        self.refusal, self.due = None, 0
        return self.first

    def add(self, waiter: Waiter) -> None:
        """Put a waiter at the end."""
        self._waiters[waiter] = None
        if self.first is not waiter:
            waiter.prepare()
            if waiter.deadline is not None:
                heappush(self._deadlines, (waiter.deadline, next(_numbers), waiter))


def enqueue(key: QueueKey, waiter: Waiter) -> WaitQueue:
    """Put a waiter at the end of the queue for `key`. The caller has to `leave` in any case."""
    with _lock:
        while True:
            queue = _queues.get(key)
            if queue is None:
                queue = _queues[key] = WaitQueue()
            queue.add(waiter)
            # A signal handler, or the garbage collector, may have taken the last one out of it in between.
            if _queues.get(key) is queue:
                return queue


def leave(key: QueueKey, waiter: Waiter) -> None:
    """Take a waiter out of the queue for `key`, if it is in there, and wake the next one if it was the first."""
    following = _remove(key, waiter)
    while following is not None and not following.wake():
        following = _remove(key, following)


def wake(key: QueueKey) -> None:
    """Wake the first waiter in the queue for `key` if it is in its `rest`, since units may be free."""
    with _lock:
        queue = _queues.get(key)
        waiter = None if queue is None else queue.first
    if waiter is not None:
        waiter.wake()


def _remove(key: QueueKey, waiter: Waiter) -> Waiter | None:
    with _lock:
        queue = _queues.get(key)
        following = None if queue is None else queue.remove(waiter)
        if queue is not None and queue.first is None:
            _queues.pop(key, None)
        return following


def call_soon() -> Callable[[Callable[[], object]], object] | None:
    """The function that has the event loop of this thread call another, from any thread; None if no loop runs here."""
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        trio_soon: Callable[[Callable[[], object]], object] = trio.lowlevel.current_trio_token().run_sync_soon
        return trio_soon
    asyncio = sys.modules.get("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()
    return None if loop is None else loop.call_soon_threadsafe


def _after_fork_in_child() -> None:
    _queues.clear()  # the other threads, and their event loops, stay with the parent
    _lock.release()


_queues: Final[dict[QueueKey, WaitQueue]] = {}
_numbers: Final = count()
_lock: Final = RLock()  # reentrant, for signal handlers, and for coroutines that the garbage collector closes
if hasattr(os, "register_at_fork"):  # A child must not inherit a lock that another thread holds.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork_in_child)
