"""Everything one event loop needs to reach the servers: a lane to each, and on a cluster which slot is where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from traffik.backends.redis.async_lane import AsyncLane, deliver
from traffik.backends.redis.async_link import AsyncLink, asked
from traffik.backends.redis.batches import Entry, Turn
from traffik.backends.redis.script import Answer, Order
from traffik.backends.redis.settings import Endpoint, Login, Settings
from traffik.backends.redis.topology import Topology, slot_of
from traffik.backends.redis.visits import Visits, check, failure, learn
from traffik.model.errors import BackendError

__all__ = ["AsyncFleet"]

_T = TypeVar("_T")

_OVER: Final = BackendError("the visit is over")


class AsyncFleet:
    """Everything one event loop needs to reach the servers; to be used in that loop alone.

    Args:
        settings: where they are.
        max_batch: orders in one call at most.
        patience: seconds that making a connection may take.
        report: called with the error of every call that failed, and with None for one that did not.

    Attributes:
        topology: which server owns which slot of a cluster, once that is known.
        doubted: servers that have not answered the last time; they are asked last.
    """

    def __init__(
        self, settings: Settings, max_batch: int, patience: float, report: Callable[[BackendError | None], None]
    ) -> None:
        self.settings = settings
        self.max_batch = max_batch
        self.patience = patience
        self.report = report
        self.loop = asyncio.get_running_loop()
        self.topology: Topology | None = None
        self.doubted: set[Endpoint] = set()
        self._learning: asyncio.Task[Topology] | None = None
        self._lanes: dict[Endpoint | None, AsyncLane] = {}
        self._only: AsyncLane | None = None
        if settings.kind != "cluster":
            self._only = self._lane(None)

    async def ask(self, orders: Sequence[Order], deadline: float) -> list[Answer]:
        """The answers to `orders`, in one step of the server.

        Args:
            orders: what is asked; on a cluster, of keys in one slot.
            deadline: when to give up, on the loop's clock.

        Raises:
            BackendError: there are none; it says whether the orders may have been carried out.
        """
        if not self.ready:
            await self._learn(deadline)
        return await self.send(orders, deadline)

    def send(self, orders: Sequence[Order], deadline: float) -> asyncio.Future[list[Answer]]:
        """What `ask` waits for, once it is `ready`."""
        waiter: asyncio.Future[list[Answer]] = self.loop.create_future()
        if self._only is not None:
            self._only.add(Entry(orders, deadline, waiter))
        elif self.topology is not None:
            self._route(Entry(orders, deadline, waiter, slot_of(orders[0].key)), self.topology)
        return waiter

    @property
    def ready(self) -> bool:
        """Whether it is known which server to ask."""
        return self._only is not None or self.topology is not None

    def move(self, entry: Entry, turn: Turn, origin: Endpoint | None) -> None:
        """Send an entry to where a server has said that it belongs."""
        endpoint = turn.beside(origin)
        if self.topology is None:
            self._fail(entry, BackendError(f"this is a node of a cluster ({turn.why}): give the store a Cluster"))
            return
        if turn.moved:
            self.topology.moved(entry.slot, endpoint)
            self._relearn()
        entry.asking = not turn.moved
        self._lane(endpoint).add(entry)

    def lost(self, endpoint: Endpoint | None) -> None:
        """Take note that a server does not answer: its slots may be elsewhere by now."""
        if endpoint is not None:
            self.doubted.add(endpoint)
            self._relearn()

    async def drive(self, recipe: Visits[_T]) -> _T:
        """Carry out a recipe of visits."""
        link, here = None, None
        try:
            visit = next(recipe)
            while True:
                try:
                    async with asyncio.timeout(self.patience):
                        if link is None or here != (visit.endpoint, visit.login):
                            if link is not None:
                                link.drop(_OVER)
                            link, here = await self.dial(visit.endpoint, visit.login), (visit.endpoint, visit.login)
                        replies = await asked(link, visit.commands)
                except Exception as error:  # noqa: BLE001 - the recipe knows what to do without this server
                    link = None
                    self.doubted.add(visit.endpoint)
                    visit = recipe.throw(failure(error))
                else:
                    self.doubted.discard(visit.endpoint)
                    visit = recipe.send(replies)
        except StopIteration as end:
            result: _T = end.value
            return result
        finally:
            if link is not None:
                link.drop(_OVER)

    async def dial(self, endpoint: Endpoint, login: Login) -> AsyncLink:
        """A connection to `endpoint`, logged in."""
        make = partial(AsyncLink, endpoint)
        try:
            if endpoint.path is not None:
                _, link = await self.loop.create_unix_connection(make, endpoint.path, ssl=login.tls)
            else:
                _, link = await self.loop.create_connection(make, endpoint.host, endpoint.port, ssl=login.tls)
        except Exception as error:  # also a UnicodeError, for a name that no host can have
            raise BackendError(f"cannot connect to {endpoint}: {error}") from error
        try:
            check(endpoint, await asked(link, login.commands()))
        except BaseException:  # also a cancellation: nobody else would close it
            link.drop(BackendError(f"could not log in to {endpoint}"))
            raise
        return link

    def close(self) -> None:
        """Close every connection."""
        self.report = _unheard
        if self._learning is not None:
            self._learning.cancel()
        for lane in self._lanes.values():
            lane.close()

    def _lane(self, endpoint: Endpoint | None) -> AsyncLane:
        lane = self._lanes.get(endpoint)
        if lane is None:
            lane = self._lanes[endpoint] = AsyncLane(self, endpoint)
        return lane

    def _route(self, entry: Entry, topology: Topology) -> None:
        owner = topology.owner(entry.slot)
        if owner is None:
            self._relearn()
            self._fail(entry, BackendError(f"no node of the cluster owns slot {entry.slot}"))
        else:
            self._lane(owner).add(entry)

    def _fail(self, entry: Entry, error: BackendError) -> None:
        self.report(error)
        deliver(entry, error)

    async def _learn(self, deadline: float) -> None:
        """Have a topology, or fail in time; whoever comes meanwhile waits for the same answer."""
        learning = self._teaching()
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(learning)
        except Exception as error:  # whatever it is, the hit has not been sent
            failed = failure(error, sent=False)
            self.report(failed)
            raise failed from error

    def _relearn(self) -> None:
        """Learn the topology anew, without waiting for it."""
        _ = self._teaching()

    def _teaching(self) -> asyncio.Task[Topology]:
        learning = self._learning
        if learning is None or learning.done():
            learning = self._learning = self.loop.create_task(self._topology())
            learning.add_done_callback(_noticed)
        return learning

    async def _topology(self) -> Topology:
        known = () if self.topology is None else self.topology.endpoints()
        self.topology = await self.drive(learn(self.settings, known, self.doubted))
        return self.topology


def _unheard(error: BackendError | None) -> None:
    """What fails because the store is closed is no failure."""


def _noticed(task: asyncio.Task[Topology]) -> None:
    """Look at the error of a task that nobody may be waiting for."""
    if not task.cancelled():
        task.exception()
