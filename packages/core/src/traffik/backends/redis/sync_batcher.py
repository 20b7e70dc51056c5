"""Batches the hits of all threads, so that concurrent hits share calls to a server.

If no call is in flight, a thread sends its hit at once. Hits that arrive meanwhile wait in a queue. After the reply,
the thread that has waited longest sends all waiting hits in one call. So all threads share one connection and few
calls, and no thread waits longer than its own deadline.
"""

from __future__ import annotations

from collections import deque
from threading import Lock, get_ident
from time import monotonic

from traffik.backends.redis.batches import Entry, Outcome, batch, outdates, spoils, take
from traffik.backends.redis.discovery import Servers, reach
from traffik.backends.redis.handshake import failure
from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.sync_connection import SyncConnection
from traffik.model.coroutines import run_sync
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["SyncBatcher"]


class _Waiter:
    """The state of a waiting thread.

    Attributes:
        gate: locked until there is an outcome, or until this thread has to send. (An `Event` would stay locked if a
            signal handler raised an error in the thread that sets it.)
        outcome: the outcome of its entry.
        leads: whether this thread has to send.
    """

    __slots__ = ("gate", "leads", "outcome")

    def __init__(self) -> None:
        self.gate = Lock()
        self.gate.acquire()
        self.outcome: Outcome | None = None
        self.leads = False


class SyncBatcher:
    """The waiting hits of all threads for one server, and the connection to it.

    Args:
        servers: the state of all servers.
        endpoint: the server; None for the one with all keys.
    """

    def __init__(self, servers: Servers, endpoint: Endpoint | None) -> None:
        self.endpoint = endpoint
        self._servers = servers
        self._lock = Lock()
        self._waiting: deque[Entry] = deque()
        self._taken = False
        self._inside: set[int] = set()
        self._connection: SyncConnection | None = None
        self._by_source = False

    async def carry_out(self, entry: Entry) -> Outcome:
        """The outcome of `entry`, by its deadline. Blocks, and never suspends."""
        thread = get_ident()
        if thread in self._inside:
            # This is a signal handler. The interrupted call may hold the lock or lead, so this hit has its own batcher.
            apart = SyncBatcher(self._servers, self.endpoint)
            try:
                return await apart.carry_out(entry)
            finally:
                apart.close()
        try:
            self._inside.add(thread)
            return self._queued(entry)
        finally:
            self._inside.discard(thread)

    def _queued(self, entry: Entry) -> Outcome:
        waiter = entry.waiter = _Waiter()
        try:
            with self._lock:
                self._waiting.append(entry)
                if not self._taken:
                    waiter.leads = self._taken = True
            if not waiter.leads and not waiter.gate.acquire(timeout=max(0.0, entry.deadline - monotonic())):
                self._give_up(entry)
        except BaseException:  # a signal handler has raised an error
            self._give_up(entry, interrupted=True)
            raise
        finally:
            if waiter.leads:
                try:
                    self._lead(entry)
                finally:  # here, since a signal handler may raise an error at the beginning of any function
                    with self._lock:
                        if waiter.outcome is None and entry in self._waiting:
                            self._waiting.remove(entry)  # no thread waits for it now
                        if self._waiting:
                            self._waiting[0].waiter.leads = True
                            self._waiting[0].waiter.gate.release()
                        else:
                            self._taken = False
        assert waiter.outcome is not None  # noqa: S101 - for type checkers: a thread continues only with an outcome
        return waiter.outcome

    def _give_up(self, entry: Entry, *, interrupted: bool = False) -> None:
        """Leave the queue after the deadline, or if this thread was interrupted, which is no failure of the server.

        This thread may lead even so; then it passes the lead on.
        """
        with self._lock:
            if entry.waiter.outcome is None:
                waits = entry in self._waiting
                if waits:
                    self._waiting.remove(entry)
                text = f"the hit could not be sent to {self} in time" if waits else f"{self} did not answer in time"
                error = BackendTimeoutError(text, maybe_executed=not waits)
                entry.waiter.outcome = [error] * len(entry.operations)
                if not interrupted:
                    self._report([entry], error)

    def _lead(self, own: Entry) -> None:
        """Send the waiting hits until the hit of this thread has an outcome."""
        while own.waiter.outcome is None:
            if monotonic() < own.deadline:
                self._send(own)
            else:
                self._give_up(own)

    def _send(self, own: Entry) -> None:
        connection, entries = None, list[Entry]()
        try:
            with self._lock:
                entries = [entry for entry in take(self._waiting, self._servers.max_batch) if not entry.waiter.outcome]
            if not entries:
                return
            connection = self._connected(own.deadline)
            sent = batch(entries, self._servers, by_source=self._by_source)
            self._servers.sent(len(entries))
            replies = connection.exchange(sent.payload, sent.replies, own.deadline)
            again, self._by_source, trouble = sent.settle(replies, _deliver)
        except BaseException as error:
            self._fail(entries, error, sent=connection is not None)
            if not isinstance(error, Exception):
                raise
            return
        self._servers.report(trouble)
        with self._lock:  # under the lock, no thread can leave the queue and lead meanwhile
            self._waiting.extendleft(entry for entry in reversed(again) if not entry.waiter.outcome)
        if outdates(trouble):
            self._servers.lost(self.endpoint)
        if spoils(trouble):
            self.close()

    def _fail(self, entries: list[Entry], error: BaseException, *, sent: bool) -> None:
        """Deliver an error. If this thread was interrupted, that is no failure of the server."""
        failed = failure(error, sent=sent)
        self.close()
        if isinstance(error, Exception):
            self._report(entries, failed)
            self._servers.lost(self.endpoint)
        for entry in entries:
            _deliver(entry, [failed] * len(entry.operations))

    def _report(self, entries: list[Entry], error: BackendError) -> None:
        """Report a failure, as one for all hits that wait now: many threads may wait for one call that hangs."""
        if not all(entry.excused for entry in entries):
            self._servers.report(error)
            for entry in tuple(self._waiting):
                entry.excused = True

    def _connected(self, deadline: float) -> SyncConnection:
        connection = self._connection
        if connection is not None and connection.gone():
            connection.close()
            connection = None
        if connection is None:
            connection = run_sync(reach(SyncConnection.connect, self._servers, self.endpoint, deadline))
            self._by_source = False
        self._connection = connection
        return connection

    def close(self) -> None:
        """Close the connection. A hit in flight fails."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __str__(self) -> str:
        return str(self.endpoint or self._servers.settings)


def _deliver(entry: Entry, outcome: Outcome) -> None:
    if entry.waiter.outcome is None:
        entry.waiter.outcome = outcome
        entry.waiter.gate.release()
