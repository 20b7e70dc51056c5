"""What differs between the tasks of an event loop and threads, besides connections and batchers: how they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import RLock
from time import monotonic
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from traffik.backends.redis import async_connection, sync_connection
from traffik.backends.redis.async_batcher import AsyncBatcher
from traffik.backends.redis.batches import Batcher
from traffik.backends.redis.discovery import Servers
from traffik.backends.redis.handshake import Connect
from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.sync_batcher import SyncBatcher
from traffik.model.errors import BackendTimeoutError

__all__ = ["Concurrency", "Tasks", "Threads"]

_T = TypeVar("_T")


class Concurrency(Protocol):
    """How a client connects, batches and waits. The coroutines never suspend in sync code.

    Attributes:
        sync: whether it is for sync code.
        connect: makes connections.
    """

    sync: bool
    connect: Connect[Any]

    def batcher(self, servers: Servers, endpoint: Endpoint | None) -> Batcher:
        """How hits share calls to one server."""
        ...

    def hold(self, key: str, deadline: float) -> AbstractAsyncContextManager[None]:
        """Keep the other callers of this client away from a key.

        Raises:
            BackendTimeoutError: another one holds it until the deadline.
        """
        ...

    async def gather(self, *calls: Coroutine[Any, Any, _T]) -> list[_T]:
        """The results of several calls, made together where that is possible."""
        ...


class Tasks:
    """The tasks of one event loop."""

    sync = False
    connect = staticmethod(async_connection.connect)
    batcher = AsyncBatcher

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: str, deadline: float) -> AsyncGenerator[None, None]:
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
        return await asyncio.gather(*calls)


class Threads:
    """All threads of a process. Locks can be taken again by a signal handler of the thread that holds them."""

    sync = True
    connect = staticmethod(sync_connection.connect)
    batcher = SyncBatcher

    def __init__(self) -> None:
        self._guard = RLock()
        self._locks: WeakValueDictionary[str, Any] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: str, deadline: float) -> AsyncGenerator[None, None]:
        with self._guard:
            lock = self._locks.setdefault(key, RLock())
        if not lock.acquire(timeout=max(0.0, deadline - monotonic())):
            raise _busy(key)
        try:
            yield
        finally:
            lock.release()

    async def gather(self, *calls: Coroutine[Any, Any, _T]) -> list[_T]:
        return [await call for call in calls]


def _busy(key: str) -> BackendTimeoutError:
    return BackendTimeoutError(f"the key {key!r} was busy until the deadline")
