"""The way of all threads to one server.

A thread that finds nobody under way sends its hit at once; those that come meanwhile leave theirs in a queue. When the
reply is there, the one that has waited longest takes all that wait and goes next. So the threads share one connection
and few calls, and each of them only ever waits for its own deadline.
"""

from __future__ import annotations

import time
from collections import deque
from copy import copy
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from traffik.backends.redis.batches import MOVES, Batch, Entry, Outcome, Turn, batch, spoils, take, trouble_in
from traffik.backends.redis.script import Answer
from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.sync_link import SyncLink, dial
from traffik.backends.redis.visits import check_greeting, failure, greeting, locate
from traffik.model.errors import BackendError, BackendTimeoutError

if TYPE_CHECKING:
    from traffik.backends.redis.sync_fleet import SyncFleet

__all__ = ["SyncLane", "Waiter"]


class Waiter:
    """Where a thread waits.

    Attributes:
        event: set when there is an outcome, or it is this thread's turn to send.
        outcome: what has become of its entry.
        leads: whether it is its turn.
    """

    __slots__ = ("event", "leads", "outcome")

    def __init__(self) -> None:
        self.event = Event()
        self.outcome: Outcome | None = None
        self.leads = False

    def result(self) -> list[Answer] | Turn:
        """The outcome.

        Raises:
            BackendError: it is an error.
        """
        if isinstance(self.outcome, BackendError):
            raise copy(self.outcome)  # each thread adds a traceback to its own
        if self.outcome is None:
            raise AssertionError("a thread goes on when there is an outcome")
        return self.outcome

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self.outcome is not None


class SyncLane:
    """The hits that wait for one server, and the connection there."""

    def __init__(self, fleet: SyncFleet, endpoint: Endpoint | None) -> None:
        self._fleet = fleet
        self._endpoint = endpoint
        self._lock = Lock()
        self._waiting: deque[Entry] = deque()
        self._taken = False
        self._link: SyncLink | None = None
        self._by_source = False

    def carry_out(self, entry: Entry) -> list[Answer] | Turn:
        """What has become of `entry`.

        Raises:
            BackendError: nothing, by its deadline.
        """
        waiter: Waiter = entry.waiter
        with self._lock:
            self._waiting.append(entry)
            leads = not self._taken
            self._taken = True
        try:
            if not leads and not waiter.event.wait(max(0.0, entry.deadline - time.monotonic())):
                self._give_up(entry)
        except BaseException:  # somebody interrupts
            self._give_up(entry)
            if waiter.leads:
                self._lead(entry)
            raise
        if leads or waiter.leads:
            self._lead(entry)
        return waiter.result()

    def _give_up(self, entry: Entry) -> None:
        """Leave the queue, late; it may be this thread's turn all the same, to hand on."""
        with self._lock:
            if entry.waiter.outcome is None:
                waits = entry in self._waiting
                if waits:
                    self._waiting.remove(entry)
                text = f"{self} did not {'take a hit' if waits else 'answer'} in time"
                entry.waiter.outcome = BackendTimeoutError(text, maybe_executed=not waits)
                self._fleet.report(entry.waiter.outcome)

    def _lead(self, own: Entry) -> None:
        """Send what waits, this thread's own hit first of all, until that has an outcome; then hand on."""
        try:
            while own.waiter.outcome is None:
                if time.monotonic() < own.deadline:
                    self._send(own)
                else:
                    self._give_up(own)
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting[0].waiter.leads = True
                    self._waiting[0].waiter.event.set()
                else:
                    self._taken = False

    def _send(self, own: Entry) -> None:
        with self._lock:
            entries = [entry for entry in take(self._waiting, self._fleet.max_batch) if not entry.waiter.done()]
        if not entries:
            return
        link = None
        try:
            link = self._connected(own.deadline)
            sent = batch(entries, self._fleet.topology, by_source=self._by_source)
            self._by_source = False
            replies = link.exchange(sent.payload, sent.replies, own.deadline)
        except BaseException as error:
            failed = failure(error, sent=link is not None)
            self._link = None
            self._fleet.report(failed)
            for entry in entries:
                _deliver(entry, failed)
            self._fleet.lost(self._endpoint)
            if not isinstance(error, Exception):
                raise
        else:
            self._land(sent, replies)

    def _land(self, sent: Batch, replies: list[Any]) -> None:
        again: list[Entry] = []
        trouble: BackendError | None = None
        settled = sent.settle(replies)
        if sent.foreign and self._fleet.topology is not None:
            self._fleet.topology.across = False
        for entry, outcome in settled:
            if isinstance(outcome, Turn) and outcome.endpoint is None and entry.moves < MOVES:
                entry.moves += 1
                self._by_source = outcome.why.startswith("NOSCRIPT")
                entry.alone = not self._by_source
                again.append(entry)
            else:
                trouble = trouble or trouble_in(outcome)
                _deliver(entry, outcome)
        self._fleet.report(trouble)
        with self._lock:  # so that nobody gives up meanwhile, and is then told to lead
            self._waiting.extendleft(entry for entry in reversed(again) if not entry.waiter.done())
        if spoils(trouble) and self._link is not None:
            self._link.close()
            self._link = None

    def _connected(self, deadline: float) -> SyncLink:
        link = self._link
        if link is not None and link.gone():
            link.close()
            link = None
        if link is None:
            endpoint = self._endpoint or self._fleet.drive(locate(self._fleet.settings, self._fleet.doubted), deadline)
            link = dial(endpoint, self._fleet.settings.login, deadline)
            try:
                check_greeting(endpoint, link.ask(greeting(self._fleet.settings), deadline))
            except BaseException:
                link.close()
                raise
            self._by_source = False
        self._link = link
        return link

    def close(self) -> None:
        """Close the connection; a hit under way fails."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def __str__(self) -> str:
        return str(self._endpoint or self._fleet.settings)


def _deliver(entry: Entry, outcome: Outcome) -> None:
    if entry.waiter.outcome is None:
        entry.waiter.outcome = outcome
        entry.waiter.event.set()
