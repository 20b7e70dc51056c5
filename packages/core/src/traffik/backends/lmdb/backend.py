"""The store of the workers of one machine: quota in a file that they share, exact for all of them, without a server.

It fetches and keeps; the kernel of the plan decides, inside one transaction. A caller that finds the file busy waits
its turn: sync code sleeps, async code lets its event loop go on, both until the deadline. What is answered when the
file cannot be had by then is in `traffik.backends.resilience.failures`.
"""

from __future__ import annotations

import inspect
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import lmdb

from traffik.backends.base import Backend, Charge, Sender
from traffik.backends.inspection import KeyPage, StoredState
from traffik.backends.lmdb.charging import Book
from traffik.backends.lmdb.environments import shelf_in
from traffik.backends.lmdb.looking import held_in, page_of
from traffik.backends.lmdb.places import located
from traffik.backends.lmdb.quick import attempts
from traffik.backends.lmdb.turns import failed_with, turn, turn_async
from traffik.backends.lmdb.unkept import FullError, UnkeptError
from traffik.backends.lmdb.visits import Visitor
from traffik.backends.resilience.breaker import Breaker, Circuit
from traffik.backends.resilience.failures import Failures, OnError
from traffik.backends.resilience.health import Health
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError, ConfigurationError

if TYPE_CHECKING:
    from traffik.strategies import Plan

__all__ = ["LMDBBackend"]

_SMALLEST_MAP: Final = 16 << 20

_PATIENCE: Final = 1.0
"""Seconds that opening or a reset may wait for its turn; no hit waits for the end of those."""
_log: Final = logging.getLogger("traffik.backends.lmdb")


class LMDBBackend(Backend):
    """Quota in files, for every process of this machine that uses the same directory and namespace.

    Args:
        path: a directory of this user's alone, made if it is not there; if None, one in memory.
        namespace: the first part of every key.
        durable: whether what is in the files still counts after a restart of the machine; `path` is then to be given.
        create: whether files that are not there are made. If not, opening a store where there is none is an error,
            and a hit whose file is missing is answered by `on_error`; what only reads finds nothing used.
        map_size: bytes that the files may grow to together, at least 16 MiB.
        max_keys: keys, at least 1, above which new ones share overflow buckets; each file has its part of them.
        deadline: seconds that a hit may take in all, above 0; then the error policy answers.
        on_error: what a hit is answered when a file cannot be had: ``"fallback"``, a limiter in this process;
            ``"allow"``; ``"throttle"``, 503 with Retry-After; ``"raise"``, the `BackendError`; or a function of the
            error and the charge that answers one of these or a decision.
        fallback_share: the part of each limit that this process admits by itself meanwhile, above 0, at most 1.
        breaker: when to spare a store that fails.
        clock: nanoseconds that never go back, the same in all processes; another one is for tests.

    Raises:
        ConfigurationError: another store of this process has the directory, with other settings.
        TypeError, ValueError: another argument is out of its range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        namespace: str = "traffik",
        durable: bool = False,
        create: bool = True,
        map_size: int = 256 << 20,
        max_keys: int = 1_000_000,
        deadline: float = 0.25,
        on_error: OnError = "fallback",
        fallback_share: float = 1.0,
        breaker: Breaker | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if isinstance(deadline, bool) or not isinstance(deadline, int | float) or not deadline > 0:
            raise ValueError(f"a deadline is a number of seconds above 0, not {deadline!r}")
        if type(max_keys) is not int or max_keys < 1:
            raise ValueError(f"max_keys is an integer from 1, not {max_keys!r}")
        if type(map_size) is not int or map_size < _SMALLEST_MAP:
            raise ValueError(f"map_size is a number of bytes from {_SMALLEST_MAP}, not {map_size!r}")
        if durable and path is None:
            raise ConfigurationError("what is to survive a restart needs a place on a disk: give the store a path")
        self.degraded: Counter[str] = Counter()
        """How many decisions were not exact, by the reason in `Decision.degraded`."""
        self.deadline = deadline
        self._failures = Failures(on_error, fallback_share)
        self._circuit = Circuit(breaker or Breaker())
        self._health = Health(self._circuit, _log)
        self._lock = Lock()
        self.directory = located(path)
        shelf = shelf_in(self.directory, map_size, durable=durable, create=create)
        self._visitor = Visitor(shelf, Book(namespace, -(-max_keys // len(shelf.environments)), durable=durable), clock)
        super().__init__(namespace=namespace)
        _stores.add(self)

    def __repr__(self) -> str:
        return f"<LMDBBackend {str(self.directory)!r} namespace={self.namespace!r} made at {self.place}>"

    @property
    def may_answer_unavailable(self) -> bool:
        return self._failures.policy in {None, "throttle"}  # None: a function, which may answer either

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        try:
            self._admit()
            decisions = await turn_async(lambda: self._visitor.apply(charges), self.deadline)
        except (BackendError, ConfigurationError) as error:
            failed = failed_with(error)
            self._report(failed)
            return [await self._instead(charge, failed) for charge in charges]
        self._report(None)
        return self._counted(decisions)

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        try:
            self._admit()
            decisions = turn(lambda: self._visitor.apply(charges), self.deadline)
        except (BackendError, ConfigurationError) as error:
            failed = failed_with(error)
            self._report(failed)
            return [self._instead_sync(charge, failed) for charge in charges]
        self._report(None)
        return self._counted(decisions)

    def sender(self, uid: str, plan: Plan) -> Sender:
        """The way of nearly all hits, written out: a coroutine that waits for nothing, if the file is not busy."""
        attempt, circuit = attempts(self._visitor, uid, plan), self._circuit

        async def send(key: str, cost: int) -> Decision:
            if not circuit.well:
                return (await self.apply((Charge(uid, plan, key, cost),)))[0]
            try:
                decision = attempt(key, cost)
                if decision is None:
                    decision = await turn_async(lambda: attempt(key, cost), self.deadline)
            except (BackendError, ConfigurationError, OSError, lmdb.Error) as error:
                failed = failed_with(error)
                self._report(failed)
                return await self._instead(Charge(uid, plan, key, cost), failed)
            return decision if decision.degraded is None else self._counted([decision])[0]

        return send

    async def open(self) -> None:
        """Find or make the file; one that cannot be had is no obstacle, but one that is refused is."""
        try:
            await turn_async(self._visitor.look_in, _PATIENCE)
        except BackendError as error:
            self._away_at_start(error)

    def open_sync(self) -> None:
        try:
            turn(self._visitor.look_in, _PATIENCE)
        except BackendError as error:
            self._away_at_start(error)

    async def close(self) -> None:
        """Close the file, in which the quota stays; the store can be used on."""
        self._visitor.shelf.close()

    def close_sync(self) -> None:
        self._visitor.shelf.close()

    async def reset(self, uid: str | None = None, key: str | None = None) -> None:
        _check_reset(uid, key)
        for number in self._visitor.numbers(key):
            while await turn_async(lambda: self._visitor.forget(number, uid, key), _PATIENCE):  # noqa: B023 - at once
                pass  # a few keys at a time, so that hits have their turns between
        self._failures.reset()

    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        _check_reset(uid, key)
        for number in self._visitor.numbers(key):
            while turn(lambda: self._visitor.forget(number, uid, key), _PATIENCE):  # noqa: B023 - at once
                pass
        self._failures.reset()

    def inspect_sync(self, uid: str, key: str) -> StoredState:
        """What the file holds for a local key of the throttle `uid`; of one in overflow, what its bucket does.

        Raises:
            BackendError: the file cannot be had.
        """
        return turn(lambda: held_in(self._visitor, uid, key), _PATIENCE)

    def list_keys_sync(self, uid: str, most: int) -> KeyPage:
        """Local keys of the throttle `uid`, at most so many. Walks through the files a few keys at a time.

        What comes or lapses meanwhile may be in it or not.

        Raises:
            BackendError: a file cannot be had.
        """
        keys: list[str] = []
        unnamed = 0
        for number in self._visitor.numbers(None):
            after = b""
            while len(keys) <= most:
                page = turn(lambda: page_of(self._visitor, number, uid, after), _PATIENCE)  # noqa: B023 - at once
                keys += page.keys
                unnamed += page.unnamed
                if page.after is None:
                    break
                after = page.after
        return KeyPage(keys[:most], len(keys) <= most, unnamed)

    def _admit(self) -> None:
        """See that the store is not spared.

        Raises:
            BackendError: it is.
        """
        if not self._circuit.closed and not self._circuit.admits(time.monotonic()):
            raise _Spared("the store is away: its breaker is open")

    async def _instead(self, charge: Charge, error: BackendError) -> Decision:
        """The decision on a charge without the file."""
        answer = self._asked(charge, error)
        if isinstance(answer, Awaitable):
            answer = await answer
        return self._settled(answer, charge, error)

    def _instead_sync(self, charge: Charge, error: BackendError) -> Decision:
        answer = self._asked(charge, error)
        if isinstance(answer, Awaitable):
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError("on_error is async, so sync code cannot use it: make it sync")
        return self._settled(answer, charge, error)

    def _asked(self, charge: Charge, error: BackendError) -> Any:
        decider, policy = self._failures.decider, self._failures.policy
        if decider is not None:
            return decider.call(error, charge)
        # In the fallback a client that nothing is known of would have its quota for as long as the file is full.
        return "throttle" if policy == "fallback" and isinstance(error, FullError) else policy

    def _settled(self, answer: object, charge: Charge, error: BackendError) -> Decision:
        wait = self._circuit.wait(time.monotonic()) or self._circuit.breaker.recovery
        return self._counted([self._failures.settle(answer, error, charge, int(wait * 1_000_000))])[0]

    def _counted(self, decisions: list[Decision]) -> list[Decision]:
        for decision in decisions:
            if decision.degraded is not None:
                with self._lock:
                    self.degraded[decision.degraded] += 1
        return decisions

    def _report(self, error: BackendError | None) -> None:
        if isinstance(error, UnkeptError):
            self._health.report(self, None)
            self._health.mention(self, error)
        elif not isinstance(error, _Spared):
            self._health.report(self, error)

    def _away_at_start(self, error: BackendError) -> None:
        self._report(error)
        if self._failures.policy == "raise":
            raise error


class _Spared(BackendError):
    """The file has not been asked."""


def _check_reset(uid: str | None, key: str | None) -> None:
    if uid is None and key is not None:
        raise ValueError(f"the key {key!r} belongs to some uid: give that too")


_stores: WeakSet[LMDBBackend] = WeakSet()


def _after_fork_in_child() -> None:
    # Another thread of the parent may have held these.
    for store in tuple(_stores):
        store._lock = Lock()
        store._circuit.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
