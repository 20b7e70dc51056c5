"""The differences between the tasks of an event loop and threads: connections, batchers and locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from functools import cache
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

from traffik.backends.redis.async_batcher import AsyncBatcher
from traffik.backends.redis.async_connection import AsyncConnection
from traffik.backends.redis.sync_batcher import SyncBatcher
from traffik.backends.redis.sync_connection import SyncConnection
from traffik.model.errors import BackendTimeoutError

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from anyio.lowlevel import RunVar

__all__ = ["Tasks", "Threads", "own_threads"]

_MOST: Final = 1000
"""The most worker threads for hits of one event loop."""

_T = TypeVar("_T")


class Tasks:
    """The tasks of one event loop."""

    sync = False
    connect: Final = AsyncConnection.connect
    batcher = AsyncBatcher

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: str, deadline: float) -> AsyncGenerator[None, None]:
        """Lock a key against other tasks. Raises a BackendTimeoutError if it is not free by the deadline."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(deadline - monotonic()):
                await lock.acquire()
        except TimeoutError:
            raise _busy(key) from None
        try:
            yield
        finally:
            lock.release()

    async def gather(self, *calls: Coroutine[Any, Any, _T]) -> list[_T]:
        """The results of calls, which run concurrently."""
        return await asyncio.gather(*calls)


class Threads:
    """The threads of a process. No method suspends. A signal handler may acquire the locks that its thread holds."""

    sync = True
    connect: Final = SyncConnection.connect
    batcher = SyncBatcher

    def __init__(self) -> None:
        self._guard = RLock()
        self._locks: WeakValueDictionary[str, Any] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: str, deadline: float) -> AsyncGenerator[None, None]:
        """As in `Tasks`, for other threads."""
        with self._guard:
            lock = self._locks.setdefault(key, RLock())
        if not lock.acquire(timeout=max(0.0, deadline - monotonic())):
            raise _busy(key)
        try:
            yield
        finally:
            lock.release()

    async def gather(self, *calls: Coroutine[Any, Any, _T]) -> list[_T]:
        """The results of calls, which run one after the other."""
        return [await call for call in calls]


def own_threads() -> CapacityLimiter:
    """The worker threads for hits of an event loop that is not asyncio's. Those of the application may all be busy."""
    limiters = _limiters()
    limiter = limiters.get(None)
    if limiter is None:
        from anyio import CapacityLimiter

        limiter = CapacityLimiter(_MOST)
        limiters.set(limiter)
    return limiter


@cache
def _limiters() -> RunVar[CapacityLimiter]:
    from anyio.lowlevel import RunVar  # here, since it is slow to import

    return RunVar("traffik.backends.redis")


def _busy(key: str) -> BackendTimeoutError:
    return BackendTimeoutError(f"the key {key!r} was locked until the deadline")
