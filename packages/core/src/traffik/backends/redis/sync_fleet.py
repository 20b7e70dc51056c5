"""Everything the threads of a process need to reach the servers: a lane to each, and where which slot is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar

from traffik.backends.redis.batches import MOVES, Entry, Turn
from traffik.backends.redis.script import Answer, Order
from traffik.backends.redis.settings import Endpoint, Settings
from traffik.backends.redis.sync_lane import SyncLane, Waiter
from traffik.backends.redis.sync_link import SyncLink, dial
from traffik.backends.redis.topology import Topology, slot_of
from traffik.backends.redis.visits import PATIENCE, Visit, Visits, failure, learn
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["SyncFleet"]

_T = TypeVar("_T")


class SyncFleet:
    """The lanes of all threads.

    Args:
        settings: where the servers are.
        max_batch: orders in one call at most.
        report: called with the error of every call that failed, and with None for one that did not.

    Attributes:
        topology: which server owns which slot of a cluster, once that is known.
        doubted: servers that have not answered the last time; they are asked last.
    """

    def __init__(self, settings: Settings, max_batch: int, report: Callable[[BackendError | None], None]) -> None:
        self.settings = settings
        self.max_batch = max_batch
        self.report = report
        self.topology: Topology | None = None
        self.doubted: set[Endpoint] = set()
        self._lost = False
        self._lock = Lock()
        self._learning = Lock()
        self._lanes: dict[Endpoint | None, SyncLane] = {}

    def ask(self, orders: Sequence[Order], deadline: float) -> list[Answer]:
        """The answers to `orders`, in one step of the server.

        Args:
            orders: what is asked; on a cluster, of keys in one slot.
            deadline: when to give up, on the monotonic clock, in seconds.

        Raises:
            BackendError: there are none; it says whether the orders may have been carried out.
        """
        entry = Entry(orders, deadline, Waiter())
        endpoint = None
        if self.settings.kind == "cluster":
            entry.slot = slot_of(orders[0].key)
            endpoint = self._owner(entry)
        for _ in range(MOVES + 1):
            outcome = self._lane(endpoint).carry_out(entry)
            if not isinstance(outcome, Turn):
                return outcome
            endpoint = self._next(entry, outcome, endpoint)
            entry.waiter = Waiter()
        raise self._reported(BackendError(f"Redis sent a hit on {MOVES} times"))

    def lost(self, endpoint: Endpoint | None) -> None:
        """Take note that a server does not answer: its slots may be elsewhere by now."""
        if endpoint is not None:
            self.doubted.add(endpoint)
            self._lost = True

    def drive(self, recipe: Visits[_T], deadline: float | None) -> _T:
        """Carry out a recipe of visits, each by the deadline (None: each in `PATIENCE` of its own)."""
        link, here = None, None
        try:
            visit = next(recipe)
            while True:
                try:
                    until = time.monotonic() + PATIENCE if deadline is None else deadline
                    if link is None or here != (visit.endpoint, visit.login):
                        link, here = self._instead(link, visit, until), (visit.endpoint, visit.login)
                    replies = link.ask(visit.commands, until)
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
                link.close()

    @staticmethod
    def _instead(old: SyncLink | None, visit: Visit, deadline: float) -> SyncLink:
        if old is not None:
            old.close()
        return dial(visit.endpoint, visit.login, deadline)

    def close(self) -> None:
        """Close every connection."""
        for lane in list(self._lanes.values()):
            lane.close()

    def _lane(self, endpoint: Endpoint | None) -> SyncLane:
        with self._lock:
            lane = self._lanes.get(endpoint)
            if lane is None:
                lane = self._lanes[endpoint] = SyncLane(self, endpoint)
            return lane

    def _owner(self, entry: Entry) -> Endpoint:
        topology = self.topology
        if topology is None or self._lost or topology.stale:
            topology = self._learn(entry.deadline)
        owner = topology.owner(entry.slot)
        if owner is None:
            self._lost = True
            raise self._reported(BackendError(f"no node of the cluster owns slot {entry.slot}"))
        return owner

    def _next(self, entry: Entry, turn: Turn, origin: Endpoint | None) -> Endpoint | None:
        """Where an entry goes on that has not been carried out."""
        if turn.endpoint is None:
            return origin
        endpoint = turn.beside(origin)
        if self.topology is None:
            raise self._reported(BackendError(f"this is a node of a cluster ({turn.why}): give the store a Cluster"))
        if turn.moved:
            self.topology.moved(entry.slot, endpoint)
        entry.asking = not turn.moved
        return endpoint

    def _learn(self, deadline: float) -> Topology:
        """A topology of now; one thread asks, and the others use what it learns, or the one there is meanwhile."""
        old = self.topology
        wait = 0 if old is not None else max(0.0, deadline - time.monotonic())
        if not self._learning.acquire(timeout=wait):
            if old is None:
                raise self._reported(BackendTimeoutError("no node told in time how the cluster is made"))
            return old
        try:
            if self.topology is not None and not (self._lost or self.topology.stale):
                return self.topology  # another thread was faster
            self._lost = False
            known = () if old is None else old.endpoints()
            self.topology = self.drive(learn(self.settings, known, self.doubted), deadline)
        except BackendError as error:
            self._lost = True
            if old is None:
                raise self._reported(failure(error, sent=False)) from None
            return old
        else:
            return self.topology
        finally:
            self._learning.release()

    def _reported(self, error: BackendError) -> BackendError:
        self.report(error)
        return error
