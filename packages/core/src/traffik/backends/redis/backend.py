"""The store for several machines: Redis or Valkey. Exact for all processes, with at most one round trip for each hit.

A script on the server decides, on the server's clock. See `charging` for the path of a charge, the batchers for hits
that share a call, and `resilience.failures` for decisions when the server does not answer.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from weakref import WeakSet

from traffik.backends.base import Backend, Calls, Charge
from traffik.backends.inspection import KeyPage, StoredState
from traffik.backends.redis import maintenance
from traffik.backends.redis.async_batcher import BlockedError
from traffik.backends.redis.charging import Charging
from traffik.backends.redis.client import Client
from traffik.backends.redis.concurrency import Tasks, Threads, own_threads
from traffik.backends.redis.discovery import Servers
from traffik.backends.redis.handshake import PATIENCE
from traffik.backends.redis.records import RedisRecord, record_key
from traffik.backends.redis.script import CHARGE, PEEK, PROBE, ErrorAnswer
from traffik.backends.redis.settings import Settings, Where, read
from traffik.backends.redis.taking import RedisAccount, Taking
from traffik.backends.resilience.breaker import Breaker, Circuit
from traffik.backends.resilience.denials import Denials, DenyCache
from traffik.backends.resilience.failures import Failures, OnError, check_deadline
from traffik.backends.resilience.health import Health
from traffik.model.coroutines import run_sync
from traffik.model.decisions import Decision
from traffik.model.errors import BackendError
from traffik.model.keys import escape, local_of, partition_key, seal, sealed

if TYPE_CHECKING:
    from traffik.backends.postings import Posted, Posting, Take, Taken
    from traffik.strategies import Plan

__all__ = ["RedisBackend"]

_T = TypeVar("_T")

# Returns the running event loop of asyncio, or None. The public function raises instead, which takes as long as a hit.
_running: Final[Callable[[], AbstractEventLoop | None]] = asyncio._get_running_loop

_log: Final = logging.getLogger("traffik.backends.redis")


class RedisBackend(Backend):
    """A store in Redis (from 6.2) or Valkey, for all processes that use the same servers and namespace.

    Args:
        where: a URL (``redis://``, ``rediss://``, ``unix://``, ``valkey://``, ``redis+sentinel://host,host/service``,
            ``redis+cluster://host,host``), a `Sentinel`, a `Cluster`, or a client of redis-py. The store reads the
            settings of the client, and opens its own connections.
        namespace: the first part of every key.
        secret: 16 bytes or more, the same in all processes. With it, the keys in the server contain a keyed hash of the
            scope and the identity, so no personal data is stored there. If None, they are readable.
        deadline: seconds that a hit may take in all, above 0. After that, `on_error` decides.
        on_error: how to decide on a hit when the server does not answer: ``"fallback"``, by a limiter in this process;
            ``"allow"``; ``"throttle"``, with 503 and Retry-After; ``"raise"``, with the `BackendError`; or a function
            of the error and the charge that returns one of these or a decision.
        fallback_share: the part of each limit that the fallback admits in this process, above 0, at most 1. With a
            share of 1/n, n processes admit about the limit together.
        breaker: when to stop calling a server that fails, and for how long.
        deny_cache: a cache of refusals in this process; None for no cache.
        max_batch: the most hits in one call, at least 1.
        changes_within: seconds above 0 within which the limits of this process follow a change of their rate that was
            made for all processes; None to not follow changes.

    Raises:
        ConfigurationError: `where` is none of the above.
        TypeError, ValueError: another argument is out of its range.
    """

    kind: ClassVar[str] = "redis"

    def __init__(
        self,
        where: Where = "redis://localhost:6379/0",
        *,
        namespace: str = "traffik",
        secret: bytes | str | None = None,
        deadline: float = 0.25,
        on_error: OnError = "fallback",
        fallback_share: float = 1.0,
        breaker: Breaker | None = None,
        deny_cache: DenyCache | None = None,
        max_batch: int = 128,
        changes_within: float | None = 2.0,
    ) -> None:
        if type(max_batch) is not int or max_batch < 1:
            raise ValueError(f"max_batch is an integer from 1, not {max_batch!r}")
        self.settings: Settings = read(where)
        self.deadline: float = check_deadline(deadline)
        self.max_batch = max_batch
        self.degraded: Counter[str] = Counter()
        """The number of decisions that the server did not make, by the reason in `Decision.degraded`."""
        self._seal = None if secret is None else seal(secret)
        self._failures = Failures(on_error, fallback_share)
        self._circuit = Circuit(breaker or Breaker())
        self._denials = None if deny_cache is None else Denials(deny_cache)
        self._health = Health(self._circuit, _log)
        self._charging = Charging(self._keys_of, deadline, self._circuit, self._failures, self._denials, self._count)
        self._taking = Taking(self._charging)
        super().__init__(namespace=namespace, changes_within=changes_within)
        self._record = RedisRecord(self.settings, namespace)
        self._begin()
        _stores.add(self)

    def _begin(self) -> None:
        """Start without connections: in a new store, and in a forked process."""
        self._lock = RLock()  # a signal handler may hit while its thread holds it
        self._clients: dict[AbstractEventLoop | None, Client] = {}
        self._threads = Client(Threads(), self._servers())
        self._record.begin()

    def _servers(self) -> Servers:
        return Servers(self.settings, self.max_batch, max(PATIENCE, self.deadline), self._report, self._sent)

    def __repr__(self) -> str:
        return f"<RedisBackend {self.settings} namespace={self.namespace!r} made at {self.place}>"

    def partition_key(self, uid: str, key: str) -> str:
        return self._keys_of(uid)(key)

    def _keys_of(self, uid: str) -> Callable[[str], str]:
        prefix, secret = partition_key(self.namespace, uid, "")[:-1], self._seal
        if secret is None:
            return lambda key: f"{prefix}{escape(key)}}}"
        return lambda key: f"{prefix}{sealed(key, secret)}}}"

    @property
    def spared(self) -> bool:
        return not self._circuit.closed

    @property
    def may_answer_unavailable(self) -> bool:
        return self._failures.policy in {None, "throttle"}  # None: a function, which may return either

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        return await self._here(partial(self._charging.apply, charges))

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        return self._blocking(partial(self._charging.apply, charges))

    def prepare(self, uid: str, plan: Plan, *, sync: bool) -> Calls:
        account, decide = self.account(uid, plan), self._charging.decide
        target = account.target
        if sync:
            return Calls(
                lambda key, cost: run_sync(decide(target, CHARGE, self._threads, key, cost)),
                lambda key, cost: run_sync(decide(target, PEEK if cost else PROBE, self._threads, key, cost)),
                lambda key: self.reset_sync(uid, key),
                account,
            )

        def ask(kind: int, key: str, cost: int) -> Coroutine[Any, Any, Decision]:
            client = self._clients.get(_running())
            if client is None:
                return self._here(lambda client: decide(target, kind, client, key, cost))
            return decide(target, kind, client, key, cost)

        return Calls(
            partial(ask, CHARGE),
            lambda key, cost: ask(PEEK if cost else PROBE, key, cost),
            lambda key: self.reset(uid, key),
            account,
        )

    def account(self, uid: str, plan: Plan) -> RedisAccount:
        return RedisAccount(self, self._charging.target(uid, plan))

    def take(
        self, takes: Sequence[Take], kind: int, *, sync: bool, back: Sequence[Posting] = ()
    ) -> Taken | Awaitable[Taken]:
        work = partial(self._taking.take, takes, kind, back)
        return self._blocking(work) if sync else self._here(work)

    def post(self, postings: Sequence[Posting], *, sync: bool) -> list[Posted] | Awaitable[list[Posted]]:
        work = partial(self._taking.post, postings)
        return self._blocking(work) if sync else self._here(work)

    async def open(self) -> None:
        """Connect, and check the settings of the server. If it does not answer, this is logged, and is no error."""
        with self._may_be_away():
            await self._here(partial(Client.inquire, work=partial(maintenance.look_around, _log)))

    def open_sync(self) -> None:
        with self._may_be_away():
            self._blocking(partial(Client.inquire, work=partial(maintenance.look_around, _log)))

    async def close(self) -> None:
        self.close_sync()

    def close_sync(self) -> None:
        self.record.stop()
        self._record.close()
        here = _running()
        with self._lock:
            clients, self._clients = self._clients, {}
        for loop, client in clients.items():
            if loop is None or loop is here:
                client.close()
            else:
                with suppress(RuntimeError):  # the loop has ended, and closed the client itself
                    loop.call_soon_threadsafe(client.close)
        self._threads.close()

    async def reset(self, uid: str | None = None, key: str | None = None) -> None:
        await self._here(partial(Client.inquire, work=self._forgetting(uid, key)))
        self._forget()

    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        self._blocking(partial(Client.inquire, work=self._forgetting(uid, key)))
        self._forget()

    def inspect_sync(self, uid: str, key: str) -> StoredState:
        """The state of a local key of the throttle `uid` in the servers.

        Raises:
            BackendError: a server does not answer.
        """
        work = partial(maintenance.inspect, self.partition_key(uid, key))
        value, ttl = self._blocking(partial(Client.inquire, work=work))
        return StoredState(value, None if ttl < 0 else ttl * 1000)

    def list_keys_sync(self, uid: str, most: int) -> KeyPage:
        """Up to `most` local keys of the throttle `uid`. Reads all keys of the servers with SCAN.

        Raises:
            BackendError: a server does not answer.
        """
        work = partial(maintenance.list_keys, self._pattern(uid), most)
        keys, complete = self._blocking(partial(Client.inquire, work=work))
        return KeyPage([local_of(key.decode()) for key in keys], complete)

    def read_record_sync(self) -> bytes | None:
        return self._record.read()

    def swap_record_sync(self, before: bytes | None, after: bytes) -> bool:
        return self._record.swap(before, after)

    def _forgetting(self, uid: str | None, key: str | None) -> maintenance.Work[None]:
        if key is None:
            return partial(maintenance.forget_all, self._pattern(uid), spared=record_key(self.namespace).encode())
        if uid is None:
            raise ValueError(f"to reset the key {key!r}, give the uid of its throttle too")
        return partial(maintenance.forget, self.partition_key(uid, key))

    def _pattern(self, uid: str | None) -> str:
        """The pattern for the keys of a throttle, or of all throttles."""
        return partition_key(self.namespace, uid or "", "").removesuffix(":{}" if uid is None else "}") + "*"

    def _forget(self) -> None:
        if self._denials is not None:
            self._denials.forget()
        self._failures.reset()

    def _blocking(self, work: Callable[[Client], Coroutine[Any, Any, _T]]) -> _T:
        return run_sync(work(self._threads))

    async def _here(self, work: Callable[[Client], Coroutine[Any, Any, _T]]) -> _T:
        """The result of `work` in this event loop; in a worker thread if the loop is not asyncio's, but trio's."""
        loop = _running()
        if loop is None:
            import anyio.to_thread

            return await anyio.to_thread.run_sync(self._blocking, work, limiter=own_threads())
        return await work(self._clients.get(loop) or await self._client_of(loop))

    async def _client_of(self, loop: AbstractEventLoop) -> Client:
        """The client of a loop that has none yet. It is closed when the loop ends."""
        with self._lock:
            for other in [other for other in self._clients if other is not None and other.is_closed()]:
                del self._clients[other]
            client = self._clients[loop] = Client(Tasks(), self._servers())
        client.keeper = self._until_the_end(loop, client)
        await anext(client.keeper)
        return client

    async def _until_the_end(self, loop: AbstractEventLoop, client: Client) -> AsyncGenerator[None, None]:
        # Before a loop ends, it closes its async generators. There is no other way to be notified of its end.
        try:
            yield
        finally:
            client.close()
            with self._lock:
                if self._clients.get(loop) is client:
                    del self._clients[loop]

    def _sent(self, hits: int) -> None:
        if self.probe is not None:
            self.probe.sent(hits)

    def _report(self, error: BackendError | None) -> None:
        """Note the result of a call to the servers."""
        if isinstance(error, BlockedError):
            self._health.mention(self, error)
        elif isinstance(error, ErrorAnswer) and error.of_one_limit:
            self._health.report(self, None)
            self._health.mention(self, error)
        else:
            self._health.report(self, error)

    @contextmanager
    def _may_be_away(self) -> Generator[None, None, None]:
        try:
            yield
        except BackendError as error:
            self._report(error)
            if self._failures.policy == "raise":
                raise

    def _count(self, reason: str) -> None:
        with self._lock:
            self.degraded[reason] += 1


_stores: WeakSet[RedisBackend] = WeakSet()
_inherited: Final[list[object]] = []


@atexit.register
def _end_records() -> None:
    # A program that uses a store without opening it does not close it either.
    for store in tuple(_stores):
        store.record.stop()
        store._record.close()


def _after_fork_in_child() -> None:
    # The connections belong to the parent. They are kept, since closing them here would disturb the parent.
    for store in tuple(_stores):
        _inherited.extend((store._clients, store._threads, store._record.client))
        store._begin()
        store._circuit.after_fork()
        if store._denials is not None:
            store._denials.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
