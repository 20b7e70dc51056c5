"""Two ways to call a store, with one interface for tests: from a running event loop, and from threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.backends.redis.servers import PATIENCE, until
from traffik import Decision, FixedWindow, Limiter
from traffik.backends.base import Charge
from traffik.backends.redis import RedisBackend
from traffik.strategies import Strategy

LIMIT = 1000
BUSY = 0.5  # seconds of delay on a busy machine


class Way(Protocol):
    """A way to call a store."""

    def open(self, store: RedisBackend) -> None: ...

    def call(self, limiter: Limiter, method: str, *arguments: Any) -> Any:
        """Call a method of a limiter."""

    def apply(self, store: RedisBackend, charges: Sequence[Charge]) -> list[Decision]:
        """Apply several charges to a store."""

    def breathe(self) -> None:
        """Let an event loop handle data that has arrived."""

    def all(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Make calls concurrently, each given as the arguments of `call`; their results, or the errors raised."""


class Threads:
    """Calls a store from threads."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def open(self, store: RedisBackend) -> None:
        self._stack.enter_context(store)

    def call(self, limiter: Limiter, method: str, *arguments: Any) -> Any:
        return getattr(limiter.sync, method)(*arguments)

    def apply(self, store: RedisBackend, charges: Sequence[Charge]) -> list[Decision]:
        return store.apply_sync(charges)

    def breathe(self) -> None:
        pass  # sync code reads data when it hits

    def all(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        calls = list(calls)
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(lambda call: _caught(lambda: self.call(*call)), calls))


class Loop:
    """Calls a store from an event loop in another thread."""

    def __init__(self, portal: BlockingPortal, stack: ExitStack) -> None:
        self._portal = portal
        self._stack = stack

    def open(self, store: RedisBackend) -> None:
        self._stack.enter_context(self._portal.wrap_async_context_manager(store))

    def call(self, limiter: Limiter, method: str, *arguments: Any) -> Any:
        return self._portal.call(getattr(limiter, method), *arguments)

    def apply(self, store: RedisBackend, charges: Sequence[Charge]) -> list[Decision]:
        return self._portal.call(store.apply, charges)

    def breathe(self) -> None:
        self._portal.call(anyio.sleep, 0.01)

    def all(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        return self._portal.call(self._all, list(calls))

    async def _all(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        answers: list[Any] = [None] * len(calls)

        async def one(place: int, limiter: Limiter, method: str, *arguments: Any) -> None:
            try:
                answers[place] = await getattr(limiter, method)(*arguments)
            except Exception as error:  # noqa: BLE001 - it is the answer
                answers[place] = error

        async with anyio.create_task_group() as group:
            for place, call in enumerate(calls):
                group.start_soon(one, place, *call)
        return answers


class Shop:
    """A store and a limiter on it, called in one way.

    Args:
        way: how to call them.
        store: for a limiter that admits `LIMIT` a day.
        strategy: the limiter's.
    """

    def __init__(self, way: Way, store: RedisBackend, strategy: Strategy | None = None) -> None:
        self.way = way
        self.store = store
        self.limiter = Limiter("shop", f"{LIMIT}/day", strategy=strategy or FixedWindow(), backend=store)

    def hit(self, who: str = "ada", cost: int | None = None) -> Decision:
        decision: Decision = self.way.call(self.limiter, "hit", who, cost)
        return decision

    def hits(self, *whose: str) -> list[Any]:
        """Make concurrent hits; their decisions, or the errors raised."""
        return self.way.all((self.limiter, "hit", who) for who in whose)

    def timed(self, who: str = "ada") -> tuple[Decision, float]:
        """Hit; the decision, and the seconds it took."""
        start = time.monotonic()
        return self.hit(who), time.monotonic() - start

    def used(self, who: str = "ada") -> int:
        """The units that the server has counted."""
        left = self.way.call(self.limiter, "check", who)
        assert left.degraded is None, "the store is not well again"
        return LIMIT - int(left.remaining) - 1

    def recovered(self) -> None:
        """Wait until the store decides again."""
        until(lambda: self.hit("anybody").degraded is None, "the store to decide again", PATIENCE)


@contextmanager
def way_of(kind: str) -> Iterator[Way]:
    """The way called ``threads`` or ``loop``. Stores it has opened are closed when the context ends."""
    with ExitStack() as stack:
        if kind == "threads":
            yield Threads(stack)
        else:
            with start_blocking_portal("asyncio") as portal, ExitStack() as inner:
                yield Loop(portal, inner)


def _caught(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it is the answer
        return error
