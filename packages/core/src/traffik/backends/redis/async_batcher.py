"""Batches the hits of one event loop, so that concurrent hits share calls to a server.

The first hit is sent at once. Hits that arrive while a call is in flight wait. They are sent together when the reply
arrives, when there are enough for a second call, or when they fill a call. There is no background task, and no timer
except for deadlines: a hit is sent by its caller, a reply wakes the callers. So a cancelled caller affects no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from itertools import chain
from time import monotonic
from typing import Any, Final

from traffik.backends.redis.async_connection import AsyncConnection
from traffik.backends.redis.batches import Batch, Entry, Outcome, batch, outdates, spoils, take
from traffik.backends.redis.discovery import Servers, reach
from traffik.backends.redis.handshake import failure
from traffik.backends.redis.settings import Endpoint
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["AsyncBatcher", "BlockedError"]

_DEPTH: Final = 8
"""The most calls in flight on one connection. With a high latency, full calls do not wait for each other."""

_WORTH: Final = 8
"""The fewest hits for a second call while one is in flight. With it, the server is not idle until the next call."""


_BLOCKED: Final = 0.1
"""Seconds by which the timer for deadlines is late if something has blocked the event loop."""


class BlockedError(BackendTimeoutError):
    """The event loop was blocked until the deadline was over, so the server has not failed."""


class AsyncBatcher:
    """The waiting hits of one event loop for one server, and the calls in flight.

    Args:
        servers: the state of all servers.
        endpoint: the server; None for the one with all keys.
    """

    def __init__(self, servers: Servers, endpoint: Endpoint | None) -> None:
        self.endpoint = endpoint
        self._servers = servers
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Entry] = deque()
        self._flying: deque[Batch] = deque()
        self._connection: AsyncConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._by_source = False

    def carry_out(self, entry: Entry) -> asyncio.Future[Outcome]:
        """The outcome of `entry`, by its deadline."""
        waiter: asyncio.Future[Outcome] = self._loop.create_future()
        entry.waiter = waiter
        self._waiting.append(entry)
        if self._timer is None or entry.deadline < self._due:
            self._watch(entry.deadline)
        if self._connection is None or self._connection.lost is not None:
            self._reconnect()
        else:
            self._flush(self._connection)
        return waiter

    @property
    def _may_send(self) -> bool:
        """Whether to send the waiting hits: nothing is in flight, or there are enough for a second or a full call."""
        waiting, flying = len(self._waiting), len(self._flying)
        if not flying:
            return waiting > 0
        if flying == 1 and waiting >= _WORTH and 2 * waiting >= len(self._flying[0].entries):
            return True
        return waiting >= self._servers.max_batch and flying < _DEPTH

    def _reconnect(self) -> None:
        self._connection = None
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        deadline = monotonic() + self._servers.patience
        try:
            self._connection = await reach(AsyncConnection.connect, self._servers, self.endpoint, deadline)
        except Exception as error:  # noqa: BLE001 - the waiting hits get the error, of any kind
            self._connecting = None
            self._fail([self._waiting.popleft() for _ in range(len(self._waiting))], failure(error, sent=False))
            self._servers.lost(self.endpoint)
        except BaseException:  # cancelled: the next hit may connect again
            self._connecting = None
            raise
        else:
            self._connecting = None
            self._by_source = False
            self._flush(self._connection)

    def _flush(self, connection: AsyncConnection) -> None:
        while self._may_send and connection.lost is None:
            entries = [entry for entry in take(self._waiting, self._servers.max_batch) if not entry.waiter.done()]
            if not entries:
                continue  # all callers have been cancelled or have timed out
            sent = batch(entries, self._servers, by_source=self._by_source)
            self._servers.sent(len(entries))
            self._by_source = False
            self._flying.append(sent)
            connection.send(sent.payload, sent.replies, partial(self._landed, sent))

    def _landed(self, sent: Batch, replies: list[Any] | BackendError) -> None:
        self._flying.remove(sent)
        connection = self._connection
        if isinstance(replies, BackendError):
            connection = self._connection = None
            self._fail(sent.entries, replies)
            self._servers.lost(self.endpoint)
        else:
            self._expire_waiting()  # rather than send hits that are late already, if the event loop was blocked
            # without errors, send the next call first, and wake these callers while the server works on it
            if connection is not None and all(type(reply) is list for reply in replies):
                self._flush(connection)
            self._settle(sent, replies)
        if connection is not None and connection.lost is None:
            self._flush(connection)
        elif self._waiting:
            self._reconnect()

    def _settle(self, sent: Batch, replies: list[Any]) -> None:
        again, by_source, trouble = sent.settle(replies, _deliver)
        self._by_source = self._by_source or by_source
        if trouble is not None or not sent.late:  # a reply that was too late for some hits is not a success
            self._servers.report(trouble)
        self._waiting.extendleft(reversed(again))
        if outdates(trouble):
            self._servers.lost(self.endpoint)
        if trouble is not None and self._connection is not None and spoils(trouble):
            self._connection.drop(trouble)

    def _watch(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = deadline
        self._timer = self._loop.call_later(deadline - monotonic(), self._expire)

    def _expire(self) -> None:
        """Fail the hits whose deadline is over. If all hits of the oldest call are late, drop the connection."""
        self._expire_waiting()
        now, self._timer = monotonic(), None
        if self._flying:
            self._give_up_flying(now)
        times = [entry.deadline for sent in self._flying for entry in sent.entries if entry.deadline > now]
        times += [entry.deadline for entry in self._waiting]
        if times:
            self._watch(min(times))

    def _expire_waiting(self) -> None:
        now = monotonic()
        if self._timer is None or now < self._due:
            return
        late = [entry for entry in self._waiting if entry.deadline <= now]
        if late:
            self._waiting = deque(entry for entry in self._waiting if entry.deadline > now)
            self._fail(late, self._late(now, f"the hit could not be sent to {self} in time", sent=False))

    def _give_up_flying(self, now: float) -> None:
        error = self._late(now, f"{self} did not answer in time", sent=True)
        if self._flying[0].deadline <= now and self._connection is not None:
            self._connection.drop(error)
            return
        for sent in self._flying:
            late = [entry for entry in sent.entries if entry.deadline <= now and not entry.waiter.done()]
            if late:
                sent.late = True  # the reply may still be in time for its other entries
                self._fail(late, error)

    def _late(self, now: float, text: str, *, sent: bool) -> BackendError:
        blocked = now - self._due
        if blocked < _BLOCKED:
            return BackendTimeoutError(text, maybe_executed=sent)
        why = f"since something blocked the event loop for {blocked:.2f} s or longer"
        return BlockedError(f"{text}, {why}", maybe_executed=sent)

    def _fail(self, entries: list[Entry], error: BackendError) -> None:
        """Deliver an error, and report it, as one failure for all hits that wait now or are in flight."""
        if not all(entry.excused for entry in entries):
            self._servers.report(error)
            for entry in chain(self._waiting, *(sent.entries for sent in self._flying)):
                entry.excused = True
        for entry in entries:
            _deliver(entry, [error] * len(entry.operations))

    def close(self) -> None:
        """Fail the waiting hits, and close the connection. This is not reported, since the server has not failed."""
        self._servers.report = _ignore
        if self._connecting is not None:
            self._connecting.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        self._fail([*waiting], BackendError("the store was closed"))
        if self._connection is not None:
            self._connection.drop(BackendError("the store was closed", maybe_executed=True))
            self._connection = None

    def __str__(self) -> str:
        return str(self.endpoint or self._servers.settings)


def _deliver(entry: Entry, outcome: Outcome) -> None:
    """Wake the caller of `entry`, unless it has been cancelled or has timed out."""
    if not entry.waiter.done():
        entry.waiter.set_result(outcome)


def _ignore(error: BackendError | None) -> None:
    pass
