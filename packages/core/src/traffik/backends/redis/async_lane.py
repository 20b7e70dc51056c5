"""The way of one event loop to one server.

The first hit goes out at once; those that come while a call is in flight are collected and leave together when its
reply arrives, or when they are worth a second call, or fill one. There is no task behind it and no timer but the one of
the deadlines: a hit writes by itself, a reply wakes its callers. So a caller that is cancelled leaves the others alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from traffik.backends.redis.async_link import AsyncLink, asked
from traffik.backends.redis.batches import MOVES, Batch, Entry, Outcome, Turn, batch, spoils, take, trouble_in
from traffik.backends.redis.settings import Endpoint
from traffik.backends.redis.visits import check_greeting, failure, greeting, locate
from traffik.model.errors import BackendError, BackendTimeoutError

if TYPE_CHECKING:
    from traffik.backends.redis.async_fleet import AsyncFleet

__all__ = ["AsyncLane", "deliver"]

_DEPTH: Final = 8
"""Calls in flight on one connection at most: on a long way, a full one need not wait for the one before it."""

_WORTH: Final = 8
"""Hits that are worth a second call while there is one in flight, so that the server need not wait for us."""


class AsyncLane:
    """The way to one server: the hits that wait, and the calls in flight."""

    def __init__(self, fleet: AsyncFleet, endpoint: Endpoint | None) -> None:
        self._fleet = fleet
        self._loop = fleet.loop
        self._endpoint = endpoint
        self._waiting: deque[Entry] = deque()
        self._flying: deque[Batch] = deque()
        self._link: AsyncLink | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._by_source = False

    def add(self, entry: Entry, *, first: bool = False) -> None:
        """Send `entry` as soon as there is room in flight; `first` before those that wait already."""
        (self._waiting.appendleft if first else self._waiting.append)(entry)
        if self._timer is None or entry.deadline < self._timer.when():
            self._watch(entry.deadline)
        link = self._link
        if link is None or link.lost is not None:
            self._reconnect()
        elif self._may_send:
            self._flush(link)

    @property
    def _may_send(self) -> bool:
        """Whether what waits goes out now: on an idle connection, if it is worth a second call, or if it fills one."""
        waiting, flying = len(self._waiting), len(self._flying)
        if not flying:
            return waiting > 0
        if flying == 1 and waiting >= _WORTH and 2 * waiting >= len(self._flying[0].entries):
            return True
        return waiting >= self._fleet.max_batch and flying < _DEPTH

    def _reconnect(self) -> None:
        self._link = None
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            link = await self._connected()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            self._connecting = None
            self._fail(failure(error, sent=False))
        except BaseException:  # cancelled: whoever comes next may connect again
            self._connecting = None
            raise
        else:
            self._connecting = None
            self._link = link
            self._by_source = False
            self._flush(link)

    async def _connected(self) -> AsyncLink:
        fleet = self._fleet
        endpoint = self._endpoint
        if endpoint is None:
            endpoint = await fleet.drive(locate(fleet.settings, fleet.doubted))
        async with asyncio.timeout(fleet.patience):
            link = await fleet.dial(endpoint, fleet.settings.login)
            replies = await asked(link, greeting(fleet.settings))
        try:
            check_greeting(endpoint, replies)
        except BackendError as error:
            link.drop(error)
            raise
        return link

    def _flush(self, link: AsyncLink) -> None:
        while self._may_send and link.lost is None:
            entries = [entry for entry in take(self._waiting, self._fleet.max_batch) if not entry.waiter.done()]
            if not entries:
                continue  # all their callers have gone
            sent = batch(entries, self._fleet.topology, by_source=self._by_source)
            self._by_source = False
            self._flying.append(sent)
            link.send(sent.payload, sent.replies, partial(self._landed, sent))

    def _landed(self, sent: Batch, replies: list[Any] | BackendError) -> None:
        self._flying.remove(sent)
        if isinstance(replies, BackendError):
            self._link = None
            self._fleet.report(replies)
            for entry in sent.entries:
                deliver(entry, replies)
            self._fleet.lost(self._endpoint)
        else:
            # If all is well, the server gets its next work before these callers get their answers.
            if self._link is not None and all(type(reply) is list for reply in replies):
                self._flush(self._link)
            self._settle(sent, replies)
        link = self._link
        if link is not None and link.lost is None:
            self._flush(link)
        elif self._waiting:
            self._reconnect()

    def _settle(self, sent: Batch, replies: list[Any]) -> None:
        """Wake those whose answers have come, and send on those that have not been carried out."""
        again: list[Entry] = []
        trouble: BackendError | None = None
        settled = sent.settle(replies)
        if sent.foreign and self._fleet.topology is not None:
            self._fleet.topology.across = False
        for entry, outcome in settled:
            if type(outcome) is Turn:
                self._turn(entry, outcome, again)
                continue
            trouble = trouble or trouble_in(outcome)
            deliver(entry, outcome)
        if trouble is not None or not sent.late:  # an answer that came too late for some is no sign of health
            self._fleet.report(trouble)
        self._waiting.extendleft(reversed(again))
        if trouble is not None and self._link is not None and spoils(trouble):
            self._link.drop(trouble)

    def _turn(self, entry: Entry, turn: Turn, again: list[Entry]) -> None:
        """Let an entry go on that has not been carried out here."""
        entry.moves += 1
        if entry.moves > MOVES:
            error = BackendError(f"Redis sent a hit on {MOVES} times, the last time with {turn.why!r}")
            self._fleet.report(error)
            deliver(entry, error)
        elif turn.endpoint is not None:
            self._fleet.move(entry, turn, self._endpoint)
        else:
            if turn.why.startswith("NOSCRIPT"):
                self._by_source = True
            else:
                entry.alone = True
            again.append(entry)

    def _watch(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """Give up what is late; a connection too, on which all that is in flight is late."""
        self._timer = None
        now = self._loop.time()
        late = [entry for entry in self._waiting if entry.deadline <= now]
        if late:
            self._waiting = deque(entry for entry in self._waiting if entry.deadline > now)
            error = BackendTimeoutError(f"{self} did not take a hit in time")
            self._fleet.report(error)
            for entry in late:
                deliver(entry, error)
        if self._flying:
            self._overdue(now)
        times = [entry.deadline for sent in self._flying for entry in sent.entries if entry.deadline > now]
        times += [entry.deadline for entry in self._waiting]
        if times:
            self._watch(min(times))

    def _overdue(self, now: float) -> None:
        """Give up what is late in flight; its neighbours may yet be answered in time."""
        error = BackendTimeoutError(f"{self} did not answer in time", maybe_executed=True)
        if self._flying[0].deadline <= now and self._link is not None:
            self._link.drop(error)
            return
        for sent in self._flying:
            late = [entry for entry in sent.entries if entry.deadline <= now and not entry.waiter.done()]
            if late:
                sent.late = True
                self._fleet.report(error)
                for entry in late:
                    deliver(entry, error)

    def _fail(self, error: BackendError) -> None:
        """There is no way to the server: everything that waits has failed."""
        self._fleet.report(error)
        waiting, self._waiting = self._waiting, deque()
        for entry in waiting:
            deliver(entry, error)
        self._fleet.lost(self._endpoint)

    def close(self) -> None:
        """Fail what waits, and close."""
        error = BackendError("the store was closed")
        if self._connecting is not None:
            self._connecting.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for entry in waiting:
            deliver(entry, error)
        if self._link is not None:
            link, self._link = self._link, None
            link.drop(BackendError("the store was closed", maybe_executed=True))

    def __str__(self) -> str:
        return str(self._endpoint or self._fleet.settings)


def deliver(entry: Entry, outcome: Outcome) -> None:
    """Wake whoever waits for `entry`, unless they have gone."""
    if entry.waiter.done():
        return
    if isinstance(outcome, BackendError):
        entry.waiter.set_exception(copy(outcome))  # each caller adds a traceback to its own
    else:
        entry.waiter.set_result(outcome)
