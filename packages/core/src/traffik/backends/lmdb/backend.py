"""The store for the workers of one machine: quota in files that they share, exact for all of them, without a server.

The kernel of a plan decides, in one transaction. Each call is one coroutine function: async code awaits it, sync code
runs it with `run_sync`. `traffik.backends.resilience.failures` decides on hits when the files cannot be used.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar
from weakref import WeakSet
from zlib import crc32

from traffik.backends.base import Backend, Calls, Charge
from traffik.backends.clocks import plan_on
from traffik.backends.inspection import KeyPage, StoredState
from traffik.backends.lmdb.access import run
from traffik.backends.lmdb.environments import Environment, environment_at
from traffik.backends.lmdb.files import FileSettings, Transaction
from traffik.backends.lmdb.inspection import NOTHING, read_keys, read_state
from traffik.backends.lmdb.ledger import LedgerEntry, LedgerStep, decide_entries, forget_keys
from traffik.backends.lmdb.paths import FILES, check_store, file_name, resolve_directory
from traffik.backends.lmdb.records import FileRecord
from traffik.backends.lmdb.states import Account, prefix_of, text_of
from traffik.backends.lmdb.unwritable import FullError, UnwritableError
from traffik.backends.postings import FORESEE, TRY, Posted, Taken, take_together
from traffik.backends.resilience.breaker import Breaker, Circuit
from traffik.backends.resilience.failures import Failures, OnError, charge_of, charges_of, check_deadline
from traffik.backends.resilience.health import Health
from traffik.model.coroutines import must_wait, run_sync
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError, ConfigurationError

if TYPE_CHECKING:
    from traffik.backends.postings import Posting, Take
    from traffik.strategies import Plan

__all__ = ["LMDBBackend"]

_T = TypeVar("_T")

_SMALLEST_MAP: Final = 16 << 20

_PATIENCE: Final = 1.0  # seconds that calls other than hits may wait for a file, at least

_log: Final = logging.getLogger("traffik.backends.lmdb")


class LMDBBackend(Backend):
    """A store in files, for all processes of this machine that use the same directory and namespace.

    Args:
        path: a directory that only this user can write to, made if it is missing; if None, one in memory.
        namespace: the first part of every key.
        durable: whether usage still counts after a restart of the machine; needs a `path`.
        create: whether to make missing files. If not, it is an error to open a store that does not exist, `on_error`
            decides on a hit whose file is missing, and calls that only read find no usage.
        map_size: bytes to which the files may grow together, at least 16 MiB.
        max_keys: the most keys, at least 1. Further keys share overflow buckets. Each file has an equal part of them.
        deadline: seconds that a hit may wait for its file, above 0; then `on_error` decides. Others wait 1 s at least.
        on_error: how to decide on a hit when its file cannot be used: ``"fallback"``, by a limiter in this process;
            ``"allow"``; ``"throttle"``, with 503 and Retry-After; ``"raise"``, with the `BackendError`; or a function
            of the error and the charge that returns one of these or a decision.
        fallback_share: the part of each limit that the fallback admits in this process, above 0, at most 1.
        breaker: when to stop using files that fail, and for how long.
        clock: a function that returns nanoseconds that never go back, the same in all processes. For tests.
        changes_within: seconds above 0 within which the limits of this process follow a change of their rate that was
            made for all processes; None to not follow changes.

    Raises:
        ConfigurationError: another store of this process uses the directory with other settings.
        TypeError, ValueError: another argument is out of its range.
    """

    kind: ClassVar[str] = "lmdb"

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
        changes_within: float | None = 2.0,
    ) -> None:
        if type(max_keys) is not int or max_keys < 1:
            raise ValueError(f"max_keys is an integer from 1, not {max_keys!r}")
        if type(map_size) is not int or map_size < _SMALLEST_MAP:
            raise ValueError(f"map_size is a number of bytes from {_SMALLEST_MAP}, not {map_size!r}")
        if durable and path is None:
            raise ConfigurationError("a durable store needs a directory on disk: give it a path")
        self.degraded: Counter[str] = Counter()
        """The number of decisions that were not exact, by the reason in `Decision.degraded`."""
        self.deadline: float = check_deadline(deadline)
        self._failures = Failures(on_error, fallback_share)
        self._circuit = Circuit(breaker or Breaker())
        self._health = Health(self._circuit, _log)
        self._lock = RLock()  # reentrant, for signal handlers that hit
        self.directory: Path = resolve_directory(path)
        self._settings = FileSettings(map_size, durable, create)
        self._files = [environment_at(self.directory / file_name(number), self._settings) for number in range(FILES)]
        self._max_keys = -(-max_keys // FILES)
        self._clock = clock
        self._record = FileRecord(self._files, namespace, clock)
        super().__init__(namespace=namespace, changes_within=changes_within)
        _stores.add(self)

    def __repr__(self) -> str:
        return f"<LMDBBackend {str(self.directory)!r} namespace={self.namespace!r} made at {self.place}>"

    @property
    def spared(self) -> bool:
        return not self._circuit.closed

    @property
    def may_answer_unavailable(self) -> bool:
        return self._failures.policy in {None, "throttle"}  # None: a function, which may return either

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        return await self._apply(charges, False)

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        return run_sync(self._apply(charges, True))

    async def _apply(self, charges: Sequence[Charge], sync: bool) -> list[Decision]:
        entries: list[LedgerEntry] = []
        for uid, plan, key, cost, read_only in charges:
            text = text_of(key)
            entries.append((self._file_of(text), self.account(uid, plan), text, cost, read_only))
        files = sorted({entry[0] for entry in entries}, key=lambda file: file.path)
        return await self._decide(files, entries, sync, not all(charge.read_only for charge in charges))

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        account = self.account(uid, plan)
        files, count = self._files, len(self._files)

        async def call(read_only: bool, key: str, cost: int) -> Decision:
            text = text_of(key)
            file = files[crc32(text) % count]
            return (await self._decide((file,), ((file, account, text, cost, read_only),), sync, not read_only))[0]

        if not sync:
            return Calls(partial(call, False), partial(call, True), partial(self.reset, uid), account)
        return Calls(
            lambda key, cost: run_sync(call(False, key, cost)),
            lambda key, cost: run_sync(call(True, key, cost)),
            partial(self.reset_sync, uid),
            account,
        )

    def account(self, uid: str, plan: Plan) -> Account:
        return Account(self, uid, plan_on(self._clock, plan), self._max_keys)

    def take(
        self, takes: Sequence[Take], kind: int, *, sync: bool, back: Sequence[Posting] = ()
    ) -> Taken | Awaitable[Taken]:
        work = self._take(takes, kind, back, sync)
        return run_sync(work) if sync else work

    def post(self, postings: Sequence[Posting], *, sync: bool) -> list[Posted] | Awaitable[list[Posted]]:
        work = self._post(postings, sync)
        return run_sync(work) if sync else work

    async def _take(self, takes: Sequence[Take], kind: int, back: Sequence[Posting], sync: bool) -> Taken:
        keys = [key for _, key, _ in takes] + [posting.key for posting in back]
        step = LedgerStep(self._file_of, kind != TRY)

        def work(now: int) -> Taken:
            step.post(back, now)
            return take_together(takes, kind, now, step.fetch, step.keep)

        try:
            taken = await self._within(keys, work, sync, kind != TRY)
        except BackendError as error:
            answers = [await self._answer_without(error, charge, sync) for charge in charges_of(takes, kind)]
            taken = self._failures.take(answers, error, takes, kind, self._wait())
        else:
            for place, (account, key, _) in enumerate(takes):
                if (account.uid, key) in step.shared:
                    taken.decisions[place] = taken.decisions[place]._replace(degraded="overflow")
        self._count(taken.decisions)
        return taken

    async def _post(self, postings: Sequence[Posting], sync: bool) -> list[Posted]:
        write = any(posting.kind != FORESEE for posting in postings)
        step = LedgerStep(self._file_of, write)
        keys = [posting.key for posting in postings]
        try:
            posted = await self._within(keys, lambda now: step.post(postings, now), sync, write)
        except BackendError as error:
            answers = [await self._answer_without(error, charge_of(posting), sync) for posting in postings]
            posted = self._failures.post(answers, error, postings, self._wait())
        self._count([each.decision for each in posted])
        return posted

    async def _within(self, keys: Sequence[str], work: Callable[[int], _T], sync: bool, write: bool) -> _T:
        """The result of `work` for the time in µs, inside one transaction in the files of all `keys`."""
        files = sorted({self._file_of(text_of(key)) for key in keys}, key=lambda file: file.path)
        clock = self._clock

        def timed() -> _T:
            # The time is the latest of those at which the files were entered.
            times = [file.transaction.now for file in files if file.transaction is not None]
            return work(max(times, default=clock() // 1000))

        try:
            self._check_circuit()
            found = await run(files, timed, clock, self.deadline, sync, write)
        except (BackendError, ConfigurationError) as error:
            failed = _as_failure(error)
            self._report(failed)
            raise failed from error
        if not self._circuit.well:
            self._report(None)
        return found

    async def _decide(
        self, files: Sequence[Environment], entries: Sequence[LedgerEntry], sync: bool, write: bool
    ) -> list[Decision]:
        circuit, clock = self._circuit, self._clock
        try:
            self._check_circuit()
            decisions = await run(files, lambda: decide_entries(entries, clock), clock, self.deadline, sync, write)
        except (BackendError, ConfigurationError) as error:
            failed = _as_failure(error)
            self._report(failed)
            decisions = [await self._decide_without(entry, failed, sync) for entry in entries]
        else:
            if not circuit.well:
                self._report(None)
        self._count(decisions)
        return decisions

    def _check_circuit(self) -> None:
        if not self._circuit.closed and not self._circuit.admits(time.monotonic()):
            raise _SparedError("the store is not used for now, since it has failed: its breaker is open")

    def _count(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            if decision.degraded is not None:
                with self._lock:
                    self.degraded[decision.degraded] += 1

    def _file_of(self, text: bytes) -> Environment:
        return self._files[crc32(text) % len(self._files)]

    async def _decide_without(self, entry: LedgerEntry, error: BackendError, sync: bool) -> Decision:
        """The decision on a charge when its file cannot be used."""
        _, account, text, cost, read_only = entry
        charge = Charge(account.uid, account.plan, text.decode("utf-8", "surrogatepass"), cost, read_only)
        return self._failures.settle(await self._answer_without(error, charge, sync), error, charge, self._wait())

    async def _answer_without(self, error: BackendError, charge: Charge, sync: bool) -> object:
        """The policy for a charge when its file cannot be used, or the result of the user's function."""
        answer: object = self._failures.policy
        if self._failures.decider is not None:
            answer = self._failures.decider.call(error, charge)
            if must_wait(answer, self._failures.decider.name, sync):
                answer = await answer
        elif answer == "fallback" and isinstance(error, FullError):
            answer = "throttle"  # the fallback would give each client its quota again while the file is full
        return answer

    def _wait(self) -> int:
        """µs until the files are tried again."""
        return int((self._circuit.wait(time.monotonic()) or self._circuit.breaker.recovery) * 1_000_000)

    def _report(self, error: BackendError | None) -> None:
        if isinstance(error, UnwritableError):
            self._health.report(self, None)
            self._health.mention(self, error)
        elif not isinstance(error, _SparedError):
            self._health.report(self, error)

    async def open(self) -> None:
        """Find or make the files. A file that cannot be used is only logged, but a refused directory is an error."""
        await self._open(False)

    def open_sync(self) -> None:
        run_sync(self._open(True))

    async def _open(self, sync: bool) -> None:
        try:
            if self._settings.create:
                for file in self._files:
                    await self._run_in(file, lambda _: None, sync)
            else:
                check_store(self.directory)
        except BackendError as error:
            self._report(error)
            if self._failures.policy == "raise":
                raise

    async def close(self) -> None:
        """Close the files, which keep the usage. The store remains usable."""
        self.close_sync()

    def close_sync(self) -> None:
        self.record.stop()
        for file in self._files:
            file.close()

    async def reset(self, uid: str | None = None, key: str | None = None) -> None:
        await self._reset(uid, key, False)

    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        run_sync(self._reset(uid, key, True))

    async def _reset(self, uid: str | None, key: str | None, sync: bool) -> None:
        if uid is None and key is not None:
            raise ValueError(f"to reset the key {key!r}, give the uid of its throttle too")
        prefix = prefix_of(self.namespace, uid)
        text = None if key is None else text_of(key)
        for file in self._files if text is None else (self._file_of(text),):
            while await self._run_in(file, partial(forget_keys, prefix=prefix, text=text), sync, True):
                pass  # a few keys at a time, so that hits need not wait for long
        self._failures.reset()

    def inspect_sync(self, uid: str, key: str) -> StoredState:
        """The state of a local key of the throttle `uid`; in overflow, that of its bucket.

        Raises:
            BackendError: the file cannot be used.
        """
        text, prefix = text_of(key), prefix_of(self.namespace, uid)
        read = partial(read_state, prefix=prefix, text=text)
        return run_sync(self._run_in(self._file_of(text), read, True)) or NOTHING

    def list_keys_sync(self, uid: str, most: int) -> KeyPage:
        """Local keys of the throttle `uid`, at most `most`. Keys that come or expire meanwhile may be missing.

        Raises:
            BackendError: a file cannot be used.
        """
        prefix = prefix_of(self.namespace, uid)
        keys: list[str] = []
        unnamed = 0
        for file in self._files:
            after: bytes | None = b""
            while after is not None and len(keys) <= most:
                page: list[str | None] = []
                read = partial(read_keys, prefix=prefix, after=after, keys=page)
                after = run_sync(self._run_in(file, read, True))
                keys += [key for key in page if key is not None]
                unnamed += page.count(None)
        return KeyPage(keys[:most], len(keys) <= most, unnamed)

    def read_record_sync(self) -> bytes | None:
        return self._record.read()

    def swap_record_sync(self, before: bytes | None, after: bytes) -> bool:
        return self._record.swap(before, after)

    async def _run_in(
        self, file: Environment, work: Callable[[Transaction], _T], sync: bool, write: bool = False
    ) -> _T | None:
        """The result of `work` for a transaction in one file; None if the file is missing."""

        def within() -> _T | None:
            return None if file.transaction is None else work(file.transaction)

        return await run((file,), within, self._clock, max(_PATIENCE, self.deadline), sync, write)


def _as_failure(error: BackendError | ConfigurationError) -> BackendError:
    return error if isinstance(error, BackendError) else BackendError(f"the file cannot be used: {error}")


class _SparedError(BackendError):
    """The breaker is open."""


_stores: WeakSet[LMDBBackend] = WeakSet()


def _after_fork_in_child() -> None:
    # Another thread of the parent may have held these.
    for store in tuple(_stores):
        store._lock = RLock()
        store._circuit.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
