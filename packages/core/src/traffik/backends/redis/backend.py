"""The store of a fleet: Redis or Valkey, exact for all its processes, one round trip a hit or less.

It fetches and keeps; the script on the server decides, on the server's clock. What happens between a charge and the
servers is in `steps`, how hits share calls in the lanes, what is answered without them in `traffik.backends.failures`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from traffik.backends.base import Backend, Charge, Sender
from traffik.backends.breaker import Breaker, Circuit
from traffik.backends.denials import Denials, DenyCache
from traffik.backends.failures import Failures, OnError
from traffik.backends.health import Health
from traffik.backends.looks import Held, Listing
from traffik.backends.redis import async_fleet, housekeeping, sync_fleet
from traffik.backends.redis.drivers import AsyncDriver, SyncDriver
from traffik.backends.redis.script import CHARGE, Order
from traffik.backends.redis.settings import Where, read
from traffik.backends.redis.states import in_script
from traffik.backends.redis.steps import Core
from traffik.backends.redis.visits import PATIENCE
from traffik.decisions import Decision
from traffik.errors import BackendError
from traffik.keys import escape, local_of, partition_key, seal, sealed

if TYPE_CHECKING:
    from traffik.strategies import Plan

__all__ = ["RedisBackend"]

# The event loop of asyncio that runs here, or None. Its public sister raises instead, which costs as much as a hit.
_running: Final[Callable[[], AbstractEventLoop | None]] = asyncio._get_running_loop

_new = tuple.__new__

_log: Final = logging.getLogger("traffik.backends.redis")


class RedisBackend(Backend):
    """Quota in Redis (from 6.2) or Valkey, for every process that uses the same servers and namespace.

    Args:
        where: a URL (``redis://``, ``rediss://``, ``unix://``, ``valkey://``, ``redis+sentinel://host,host/service``,
            ``redis+cluster://host,host``), a `Sentinel`, a `Cluster`, or a client of redis-py, which is only read.
        namespace: the first part of every key.
        secret: 16 bytes or more, the same in all processes: scope and identity stand in the server as a keyed hash, so
            that no data of persons reaches it. None leaves them readable.
        deadline: seconds that a hit may take in all, above 0; then the error policy answers.
        on_error: what a hit is answered when the store does not: ``"fallback"``, a limiter in this process;
            ``"allow"``; ``"throttle"``, 503 with Retry-After; ``"raise"``, the `BackendError`; or a function of the
            error and the charge that answers one of these or a decision.
        fallback_share: the part of each limit that this process admits by itself meanwhile, above 0, at most 1. With n
            processes, 1/n admits about the limit in all.
        breaker: when to spare a store that fails.
        deny_cache: remembers refusals in this process; None without.
        max_batch: hits in one call at most, at least 1.

    Raises:
        ConfigurationError: `where` is none of the above.
        TypeError, ValueError: another argument is out of its range.
    """

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
    ) -> None:
        if isinstance(deadline, bool) or not isinstance(deadline, int | float) or not deadline > 0:
            raise ValueError(f"a deadline is a number of seconds above 0, not {deadline!r}")
        if type(max_batch) is not int or max_batch < 1:
            raise ValueError(f"max_batch is an integer from 1, not {max_batch!r}")
        self.settings = read(where)
        self.deadline = deadline
        self.max_batch = max_batch
        self.degraded: Counter[str] = Counter()
        """How many decisions were not the store's own, by the reason in `Decision.degraded`."""
        self._seal = None if secret is None else seal(secret)
        self._failures = Failures(on_error, fallback_share)
        self._circuit = Circuit(breaker or Breaker())
        self._denials = None if deny_cache is None else Denials(deny_cache)
        self._prefixes: dict[str, str] = {}
        self._core = Core(self.partition_key, _micros, self._circuit, self._failures, self._denials, self._count)
        self._health = Health(self._circuit, _log)
        self._begin()
        super().__init__(namespace=namespace)
        _stores.add(self)

    def _begin(self) -> None:
        """Know of no connections."""
        self._lock = Lock()
        self._drivers: dict[AbstractEventLoop, AsyncDriver] = {}
        self._sync = SyncDriver(sync_fleet.SyncFleet(self.settings, self.max_batch, self._report), self.deadline)

    def __repr__(self) -> str:
        return f"<RedisBackend {self.settings} namespace={self.namespace!r} made at {self.place}>"

    def partition_key(self, uid: str, key: str) -> str:
        prefix = self._prefixes.get(uid)
        if prefix is None:
            if len(self._prefixes) >= 1024:
                self._prefixes.clear()
            prefix = self._prefixes[uid] = partition_key(self.namespace, uid, "")[:-1]
        return f"{prefix}{self._shown(key)}}}"

    def _shown(self, key: str) -> str:
        """A local key as it stands in the server."""
        return escape(key) if self._seal is None else sealed(key, self._seal)

    @property
    def refuses_while_away(self) -> bool:
        return self._failures.policy in {None, "throttle"}  # None: a function, which may answer either

    async def apply(self, charges: Sequence[Charge]) -> list[Decision]:
        loop = _running()
        if loop is None:
            return await self._in_a_thread(charges)
        driver = self._drivers.get(loop)
        if driver is None:
            driver = await self._driver(loop)
        return await driver.run(self._core.apply(charges))

    def sender(self, uid: str, plan: Plan) -> Sender:
        """The way of nearly all hits, written out: one thing to wait for, with nothing in between."""
        if not in_script(plan):
            return super().sender(uid, plan)
        core, denials, circuit, remembers = self._core, self._denials, self._circuit, self._core.remembers(plan)
        shown, prefix, end = self._shown, partition_key(self.namespace, uid, "")[:-1], "}"

        async def send(key: str, cost: int) -> Decision:
            loop = _running()
            driver = None if loop is None else self._drivers.get(loop)
            if driver is None or not circuit.closed or not driver.fleet.ready:
                return (await self.apply((Charge(uid, plan, key, cost),)))[0]
            whole, began = f"{prefix}{shown(key)}{end}", 0
            if denials is not None:
                began = _micros()
                known = denials.find(whole, plan, cost, began)
                if known is not None:
                    if known.degraded is not None:
                        self._count(known.degraded)
                    return known
            try:
                (answer,) = await driver.send(_new(Order, (whole, CHARGE, plan, cost, ())))
            except BackendError as error:
                answer = error
            if type(answer) is not Decision:
                return await driver.run(core.instead(Charge(uid, plan, key, cost), answer))
            if remembers:
                core.note(whole, plan, cost, answer, began)
            return answer

        return send

    def apply_sync(self, charges: Sequence[Charge]) -> list[Decision]:
        return self._sync.run(self._core.apply(charges))

    async def open(self) -> None:
        """Connect, and look whether the server is set up as it should be; a store that is away is no obstacle."""
        loop = _running()
        if loop is None:
            self.open_sync()
            return
        driver = self._drivers.get(loop) or await self._driver(loop)
        try:
            await driver.housekeep(housekeeping.look_around(self.settings, _log))
        except BackendError as error:
            self._away_at_start(error)

    def open_sync(self) -> None:
        try:
            self._sync.housekeep(housekeeping.look_around(self.settings, _log))
        except BackendError as error:
            self._away_at_start(error)

    async def close(self) -> None:
        self.close_sync()

    def close_sync(self) -> None:
        here = _running()
        with self._lock:
            drivers, self._drivers = self._drivers, {}
        for loop, driver in drivers.items():
            if loop is here:
                driver.fleet.close()
            else:
                with suppress(RuntimeError):  # the loop has ended, and closed the fleet itself
                    loop.call_soon_threadsafe(driver.fleet.close)
        self._sync.fleet.close()

    async def reset(self, uid: str | None = None, key: str | None = None) -> None:
        recipe = housekeeping.forget(self.settings, self._pattern(uid, key))
        loop = _running()
        if loop is None:
            self._sync.housekeep(recipe)
        else:
            await (self._drivers.get(loop) or await self._driver(loop)).housekeep(recipe)
        self._forget()

    def reset_sync(self, uid: str | None = None, key: str | None = None) -> None:
        self._sync.housekeep(housekeeping.forget(self.settings, self._pattern(uid, key)))
        self._forget()

    def held_sync(self, uid: str, key: str) -> Held:
        """What the servers hold for a local key of the throttle `uid`.

        Raises:
            BackendError: they do not answer.
        """
        value, ttl = self._sync.housekeep(housekeeping.look_up(self.settings, self.partition_key(uid, key)))
        return Held(value, None if ttl < 0 else ttl * 1000)

    def list_sync(self, uid: str, most: int) -> Listing:
        """Local keys of the throttle `uid`, at most so many. Walks through all keys of the servers with SCAN.

        Raises:
            BackendError: they do not answer.
        """
        pattern, _ = self._pattern(uid, None)
        keys, complete = self._sync.housekeep(housekeeping.walk(self.settings, pattern, most))
        return Listing([local_of(key.decode()) for key in keys], complete)

    def _pattern(self, uid: str | None, key: str | None) -> tuple[str, bool]:
        """The keys that a reset means, and whether that is a pattern."""
        if uid is None:
            if key is not None:
                raise ValueError(f"the key {key!r} belongs to some uid: give that too")
            return partition_key(self.namespace, "", "").removesuffix(":{}") + "*", True
        if key is None:
            return partition_key(self.namespace, uid, "").removesuffix("}") + "*", True
        return self.partition_key(uid, key), False

    def _forget(self) -> None:
        if self._denials is not None:
            self._denials.forget()
        self._failures.reset()

    async def _driver(self, loop: AbstractEventLoop) -> AsyncDriver:
        """The driver of a loop that has none yet; it is closed when the loop ends."""
        with self._lock:
            for other in [other for other in self._drivers if other.is_closed()]:
                del self._drivers[other]
            fleet = async_fleet.AsyncFleet(self.settings, self.max_batch, max(PATIENCE, self.deadline), self._report)
            driver = self._drivers[loop] = AsyncDriver(fleet, self.deadline)
        driver.keeper = self._until_the_end(loop, driver)
        await anext(driver.keeper)
        return driver

    async def _until_the_end(self, loop: AbstractEventLoop, driver: AsyncDriver) -> AsyncGenerator[None, None]:
        # A loop closes the generators that have begun in it before it ends, and that is all it tells anybody.
        try:
            yield
        finally:
            driver.fleet.close()
            with self._lock:
                if self._drivers.get(loop) is driver:
                    del self._drivers[loop]

    async def _in_a_thread(self, charges: Sequence[Charge]) -> list[Decision]:
        """`apply` under an event loop that is not of asyncio, such as trio's."""
        import anyio.to_thread

        return await anyio.to_thread.run_sync(self.apply_sync, charges)

    def _report(self, error: BackendError | None) -> None:
        """Take note of how a call went."""
        self._health.report(self, error)

    def _away_at_start(self, error: BackendError) -> None:
        self._report(error)
        if self._failures.policy == "raise":
            raise error

    def _count(self, reason: str) -> None:
        with self._lock:
            self.degraded[reason] += 1


def _micros() -> int:
    return time.monotonic_ns() // 1000


_stores: WeakSet[RedisBackend] = WeakSet()
_inherited: Final[list[object]] = []


def _after_fork_in_child() -> None:
    # The connections are the parent's. They are kept, since closing them would be heard at the other end.
    for store in tuple(_stores):
        _inherited.extend((store._drivers, store._sync))
        store._begin()
        store._circuit.after_fork()
        if store._denials is not None:
            store._denials.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
