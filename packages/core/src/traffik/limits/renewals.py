"""The renewal of leases while their work runs: in the event loop of a task, or in one thread for all sync code.

A lease is renewed when a third of it has passed. `traffik.limits.leases` says how; this module says when.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from heapq import heapify, heappop, heappush
from itertools import count
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from traffik.model.coroutines import run_sync

if TYPE_CHECKING:
    from traffik.limits.leases import Lease

__all__ = ["TaskRenewal", "ThreadRenewal"]

_log: Final = logging.getLogger("traffik.slots")

_IDLE: Final = 5.0
"""Seconds without a lease after which the thread ends."""

_ON_LOST_FAILED: Final = "the function given as on_lost has failed"

_Told: TypeAlias = Callable[[], Awaitable[object] | object]
"""Called if a lease is lost; an awaitable that it answers is awaited in async code."""


class TaskRenewal:
    """Renews one lease in the event loop of its task, under asyncio or trio.

    Args:
        lease: what to renew.
        told: called in that loop if it is lost.
    """

    __slots__ = ("_lease", "_running", "_stopped", "_timer", "_told")

    def __init__(self, lease: Lease, told: _Told) -> None:
        self._lease = lease
        self._told = told
        self._timer: Callable[[], object]
        self._running: Any = None
        self._stopped = False
        self._begin_after(lease.period // 3)

    async def stop(self) -> None:
        """Stop renewing it. Waits for a renewal that has begun; the caller must not be cancelled."""
        self._stopped = True
        self._timer()
        if self._running is not None:
            await self._running.wait()

    def _begin_after(self, wait: int) -> None:
        asyncio = sys.modules.get("asyncio")
        loop = None if asyncio is None else asyncio._get_running_loop()
        if loop is not None:
            self._timer = loop.call_later(wait / 1_000_000, lambda: _keep(loop.create_task(self._renew()))).cancel
            return
        import trio

        scope = trio.CancelScope()

        async def renew_later() -> None:
            with scope:
                await trio.sleep(wait / 1_000_000)
            if not scope.cancelled_caught:
                await self._renew()

        trio.lowlevel.spawn_system_task(renew_later)
        self._timer = scope.cancel

    async def _renew(self) -> None:
        import anyio

        if self._stopped:
            return
        self._running = anyio.Event()
        wait: int | None = None
        try:
            wait = await self._lease.renew()
        except Exception:  # noqa: BLE001 - what a function given as on_error has raised, say
            wait = _note_failure(self._lease)
        finally:
            self._running.set()
            self._running = None
        if self._lease.lost and not self._stopped:
            try:
                answer = self._told()
                if isinstance(answer, Awaitable):
                    await answer
            except Exception:  # noqa: BLE001 - a function of the user's
                _log.exception(_ON_LOST_FAILED)
        elif wait is not None and not self._stopped:
            self._begin_after(wait)


def _note_failure(lease: Lease) -> int:
    """Log that a renewal has failed; µs until the next attempt."""
    _log.exception("the renewal of a slot has failed")
    return lease.period // 10


_tasks: Final[set[Any]] = set()
"""Tasks that renew now. The loop itself holds them weakly."""


def _keep(task: Any) -> None:
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


class ThreadRenewal:
    """Renews one lease in the thread that all sync code of the process shares; see `TaskRenewal`."""

    __slots__ = ("_lease", "_told")

    def __init__(self, lease: Lease, told: _Told) -> None:
        self._lease = lease
        self._told = told
        _thread.add(self, lease.period // 3)

    def stop(self) -> None:
        """Stop renewing it."""
        _thread.remove(self)

    def renew(self) -> int | None:
        """Renew it now; µs until the next time, or None."""
        try:
            with self._lease.lock:
                lost, wait = self._lease.lost, run_sync(self._lease.renew())
        except Exception:  # noqa: BLE001 - as above
            return _note_failure(self._lease)
        if self._lease.lost and not lost:
            try:
                self._told()
            except Exception:  # noqa: BLE001 - a function of the user's
                _log.exception(_ON_LOST_FAILED)
        return wait


class _Renewer:
    """The thread, which runs for as long as there are leases, and the times at which they are due."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._due: list[tuple[float, int, ThreadRenewal]] = []
        self._live: set[ThreadRenewal] = set()
        self._running = False

    def add(self, renewal: ThreadRenewal, wait: int) -> None:
        """Renew in `wait` µs."""
        with self._changed:
            self._live.add(renewal)
            self._push(renewal, wait)
            if not self._running:
                self._running = True
                Thread(target=self._run, name="traffik-slots", daemon=True).start()
            elif self._due[0][2] is renewal:
                self._changed.notify()

    def remove(self, renewal: ThreadRenewal) -> None:
        """Stop renewing it."""
        with self._changed:
            self._live.discard(renewal)
            if len(self._due) > 2 * len(self._live) + 64:
                self._due = [entry for entry in self._due if entry[2] in self._live]
                heapify(self._due)

    def _push(self, renewal: ThreadRenewal, wait: int) -> None:
        heappush(self._due, (time.monotonic() + wait / 1_000_000, next(_numbers), renewal))

    def _run(self) -> None:
        while (renewal := self._next()) is not None:
            wait = renewal.renew()
            with self._changed:
                if wait is not None and renewal in self._live:
                    self._push(renewal, wait)

    def _next(self) -> ThreadRenewal | None:
        """Wait for the lease that is due first; None if there have been none for a while, and the thread ends."""
        with self._changed:
            while True:
                while self._due and self._due[0][2] not in self._live:
                    heappop(self._due)
                if self._due:
                    left = self._due[0][0] - time.monotonic()
                    if left <= 0:
                        return heappop(self._due)[2]
                    self._changed.wait(left)
                elif not self._changed.wait(_IDLE) and not self._due:
                    self._running = False
                    return None


_numbers: Final = count()
_thread = _Renewer()


def _after_fork_in_child() -> None:
    global _thread  # noqa: PLW0603 - one thread for each process
    _thread = _Renewer()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
