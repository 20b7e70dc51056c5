"""The client of the servers for one event loop or for all threads, with a batcher for each server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import closing
from typing import Any, TypeAlias, TypeVar

from traffik.backends.redis.async_batcher import AsyncBatcher
from traffik.backends.redis.batches import Entry, Redirect
from traffik.backends.redis.concurrency import Tasks, Threads
from traffik.backends.redis.discovery import Servers, Session, learn, slot_of
from traffik.backends.redis.handshake import failure
from traffik.backends.redis.script import Answer, Operation
from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.sync_batcher import SyncBatcher
from traffik.model.errors import BackendError

__all__ = ["Client"]

_T = TypeVar("_T")

_Batcher: TypeAlias = AsyncBatcher | SyncBatcher


class Client:
    """Carries out operations on one server, or on the nodes of a cluster.

    Args:
        ways: the functions for connecting, batching and waiting, in tasks or threads.
        servers: the state of the servers, which the client updates.
    """

    keeper: AsyncGenerator[None, None]
    """Closes the client of an event loop when the loop ends."""

    def __init__(self, ways: Tasks | Threads, servers: Servers) -> None:
        self.ways = ways
        self._servers = servers
        self._batchers: dict[Endpoint | None, _Batcher] = {}
        self._only = None if servers.settings.kind == "cluster" else self._batcher(None)

    async def ask(self, operations: Sequence[Operation], deadline: float) -> Sequence[Answer]:
        """The answers to `operations`, in one step of the server.

        Args:
            operations: the operations; on a cluster, with keys of one slot.
            deadline: in seconds on the monotonic clock. After it, the answers are errors, which tell whether the
                operations may have been carried out.
        """
        entry = Entry(operations, deadline)
        try:
            batcher = self._only or await self._route(entry)
            outcome = await batcher.carry_out(entry)
            while isinstance(outcome, Redirect):
                batcher = self._redirected(entry, outcome, batcher.endpoint)
                outcome = await batcher.carry_out(entry)
        except BackendError as error:
            self._servers.report(error)
            return [error] * len(operations)
        return outcome

    async def ask_each(self, operations: Sequence[Operation], deadline: float) -> Sequence[Answer]:
        """`ask` for keys of any slots. Keys of the same slot are one step."""
        if self._only is not None:
            return await self.ask(operations, deadline)
        places: dict[int, list[int]] = {}
        for place, operation in enumerate(operations):
            places.setdefault(slot_of(operation.key), []).append(place)
        calls = [self.ask([operations[place] for place in group], deadline) for group in places.values()]
        found: dict[int, Answer] = {}
        for group, answers in zip(places.values(), await self.ways.gather(*calls), strict=True):
            found |= zip(group, answers, strict=True)
        return [found[place] for place in range(len(operations))]

    @property
    def divided(self) -> bool:
        """Whether keys are divided among servers, so that one step is about keys of one slot."""
        return self._only is None

    def step_of(self, key: str) -> int:
        """A number that is equal for keys that can be in one step: the slot on a cluster."""
        return slot_of(key)

    async def inquire(self, work: Callable[[Session[Any]], Awaitable[_T]], deadline: float | None = None) -> _T:
        """The result of `work`, which makes calls to the servers that are not hits; see `Session`."""
        with closing(Session(self.ways.connect, self._servers, deadline)) as session:
            return await work(session)

    def close(self) -> None:
        """Close all connections. Hits in flight fail."""
        for batcher in list(self._batchers.values()):
            batcher.close()

    def _batcher(self, endpoint: Endpoint | None) -> _Batcher:
        found = self._batchers.get(endpoint)
        if found is None:
            found = self._batchers.setdefault(endpoint, self.ways.batcher(self._servers, endpoint))
        return found

    async def _route(self, entry: Entry) -> _Batcher:
        """The batcher for the server that owns the slot of an entry."""
        entry.slot = slot_of(entry.operations[0].key)
        if self._servers.outdated:
            await self._learn(entry.deadline)
        return self._batcher(self._servers.owner(entry.slot))

    async def _learn(self, deadline: float) -> None:
        """Ask which server owns each slot. One caller asks. The others wait for it, or use the previous owners."""
        try:
            async with self.ways.hold("", 0 if self._servers.owners else deadline):
                if self._servers.outdated:
                    await self.inquire(learn, deadline)
        except BackendError as error:
            if not self._servers.owners:
                raise failure(error, sent=False) from error

    def _redirected(self, entry: Entry, redirect: Redirect, origin: Endpoint | None) -> _Batcher:
        """The batcher for the server that an entry was redirected to."""
        if not self._servers.owners:
            raise BackendError(f"this is a node of a cluster ({redirect.why}): make the store with a Cluster")
        if error := entry.sent_on(redirect.why):
            raise error
        endpoint = redirect.seen_from(origin)
        entry.asking = not redirect.moved
        if redirect.moved:
            self._servers.moved(entry.slot, endpoint)
        return self._batcher(endpoint)
