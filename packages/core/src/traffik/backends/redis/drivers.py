"""The loops that carry out steps: one for async code, in one event loop, and one for sync code, in any thread."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, Sequence
from threading import Lock
from typing import Any, TypeVar, assert_never
from weakref import WeakValueDictionary

from traffik.backends.redis import async_fleet, sync_fleet
from traffik.backends.redis.script import Answer, Order
from traffik.backends.redis.steps import Ask, Await, Hold, Move, Release, Steps
from traffik.backends.redis.topology import slot_of
from traffik.backends.redis.visits import Visits
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["AsyncDriver", "SyncDriver"]

_T = TypeVar("_T")


class AsyncDriver:
    """Carries out steps in one event loop.

    Args:
        fleet: the way to the servers.
        deadline: seconds that one recipe may take.
    """

    keeper: AsyncGenerator[None, None]
    """What closes the fleet when the loop ends."""

    def __init__(self, fleet: async_fleet.AsyncFleet, deadline: float) -> None:
        self.fleet = fleet
        self._deadline = deadline
        self._time = fleet.loop.time
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def send(self, order: Order) -> asyncio.Future[list[Answer]]:
        """The answer to one order, to be waited for at once."""
        return self.fleet.send((order,), self._time() + self._deadline)

    async def run(self, recipe: Steps[_T]) -> _T:
        """Carry out a recipe."""
        held: dict[str, asyncio.Lock] = {}
        deadline = self._time() + self._deadline
        try:
            step = next(recipe)
            while True:
                try:
                    answer = await self._carry_out(step, deadline, held)
                except BackendError as error:
                    step = recipe.throw(error)
                else:
                    step = recipe.send(answer)
        except StopIteration as end:
            result: _T = end.value
            return result
        finally:
            for lock in held.values():
                lock.release()

    async def housekeep(self, recipe: Visits[_T]) -> _T:
        """Carry out a recipe of visits, each of which may take as long as making a connection."""
        return await self.fleet.drive(recipe)

    async def _carry_out(self, step: Move, deadline: float, held: dict[str, asyncio.Lock]) -> Any:
        match step:
            case Ask((order,)):
                return await self.fleet.ask((order,), deadline)
            case Ask(orders):
                groups = _by_slot(orders) if self.fleet.settings.kind == "cluster" else [list(range(len(orders)))]
                asked = [self._group([orders[place] for place in group], deadline) for group in groups]
                return _joined(groups, await asyncio.gather(*asked))
            case Hold(key):
                lock = self._locks.setdefault(key, asyncio.Lock())
                try:
                    async with asyncio.timeout_at(deadline):
                        await lock.acquire()
                except TimeoutError:
                    raise BackendTimeoutError(f"the key {key!r} was busy until the deadline") from None
                held[key] = lock
                return None
            case Release(key):
                if key in held:
                    held.pop(key).release()
                return None
            case Await(awaitable):
                return await awaitable
            case _:
                assert_never(step)

    async def _group(self, orders: Sequence[Order], deadline: float) -> list[Answer]:
        """The answers to orders of one slot; an error is that to each, and touches no other slot."""
        try:
            return await self.fleet.ask(orders, deadline)
        except BackendError as error:
            return [error] * len(orders)


class SyncDriver:
    """Carries out steps in any thread.

    Args:
        fleet: the way to the servers.
        deadline: seconds that one recipe may take.
    """

    def __init__(self, fleet: sync_fleet.SyncFleet, deadline: float) -> None:
        self.fleet = fleet
        self._deadline = deadline
        self._guard = Lock()
        self._locks: WeakValueDictionary[str, _Busy] = WeakValueDictionary()

    def run(self, recipe: Steps[_T]) -> _T:
        """Carry out a recipe.

        Raises:
            TypeError: it needs something that only async code can do; the message names it.
        """
        deadline = time.monotonic() + self._deadline
        held: dict[str, _Busy] = {}
        try:
            step = next(recipe)
            while True:
                try:
                    answer = self._carry_out(step, deadline, held)
                except BackendError as error:
                    step = recipe.throw(error)
                else:
                    step = recipe.send(answer)
        except StopIteration as end:
            result: _T = end.value
            return result
        finally:
            for busy in held.values():
                busy.lock.release()

    def housekeep(self, recipe: Visits[_T]) -> _T:
        """Carry out a recipe of visits."""
        return self.fleet.drive(recipe, None)

    def _carry_out(self, step: Move, deadline: float, held: dict[str, _Busy]) -> Any:
        match step:
            case Ask((order,)):
                return self.fleet.ask((order,), deadline)
            case Ask(orders):
                groups = _by_slot(orders) if self.fleet.settings.kind == "cluster" else [list(range(len(orders)))]
                got = [self._group([orders[place] for place in group], deadline) for group in groups]
                return _joined(groups, got)
            case Hold(key):
                with self._guard:
                    busy = self._locks.setdefault(key, _Busy())
                if not busy.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                    raise BackendTimeoutError(f"the key {key!r} was busy until the deadline")
                held[key] = busy
                return None
            case Release(key):
                if key in held:
                    held.pop(key).lock.release()
                return None
            case Await(awaitable, name):
                if inspect.iscoroutine(awaitable):
                    awaitable.close()
                raise TypeError(f"{name} is async, so sync code cannot use it: make it sync")
            case _:
                assert_never(step)

    def _group(self, orders: Sequence[Order], deadline: float) -> list[Answer]:
        """The answers to orders of one slot; an error is that to each, and touches no other slot."""
        try:
            return self.fleet.ask(orders, deadline)
        except BackendError as error:
            return [error] * len(orders)


class _Busy:
    """A lock that can be referred to weakly."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = Lock()


def _by_slot(orders: Sequence[Order]) -> list[list[int]]:
    """The places of orders whose keys share a slot, which go together."""
    groups: dict[int, list[int]] = {}
    for place, order in enumerate(orders):
        groups.setdefault(slot_of(order.key), []).append(place)
    return list(groups.values())


def _joined(groups: list[list[int]], answers: list[list[Any]]) -> list[Any]:
    """The answers of all groups, in the order of their orders."""
    pairs = [pair for group, got in zip(groups, answers, strict=True) for pair in zip(group, got, strict=True)]
    return [answer for _, answer in sorted(pairs, key=lambda pair: pair[0])]
