"""Promise 25 under cancellation at any await: decisions are whole, and no units are lost or given back twice."""

from __future__ import annotations

from itertools import count

import anyio
import anyio.lowlevel
import pytest

from tests.promises.suspending import SuspendingStore, cancelled_at
from traffik import Hit, Limiter, SlidingWindow, TokenBucket, hit_all, reserve_all
from traffik.backends.inmemory import InMemoryBackend

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
placements = pytest.mark.parametrize("stores", ["one", "two", "memory first", "memory last"])


class Books:
    """Two limits, and the units used of each."""

    def __init__(self, clock, stores, strategy=None):
        slow, memory = SuspendingStore(clock=clock), InMemoryBackend(clock=clock)
        kinds = {"one": (slow, slow), "two": (slow, SuspendingStore(clock=clock))}
        kinds |= {"memory first": (memory, slow), "memory last": (slow, memory)}
        strategy = strategy or SlidingWindow()
        pairs = zip(("books:1", "books:2"), kinds[stores], strict=True)
        self.limits = [Limiter(uid, "100/day", strategy=strategy, backend=store) for uid, store in pairs]

    async def used(self):
        return [100 - (await limit.stat("a")).hits_remaining for limit in self.limits]


async def reserve_and_commit(limits, actual):
    async with reserve_all("a", *limits, cost=10) as reservation:
        await anyio.lowlevel.checkpoint()
        await reservation.commit(actual)
        await anyio.lowlevel.checkpoint()


async def each_cut(clock, stores, work, strategy=None):
    """Cancel `work` with two limits at its first, second, … suspension; the usage after each."""
    for number in count():
        books = Books(clock, stores, strategy)
        if not await cancelled_at(work(books.limits), number):
            assert number >= 2
            return
        yield await books.used()


@on_asyncio
@placements
async def test_a_hit_that_is_cancelled_takes_from_all_or_from_none(clock, stores):
    async for used in each_cut(clock, stores, lambda limits: hit_all("a", *limits, cost=10)):
        assert used in ([0, 0], [10, 10])


@on_asyncio
@placements
@pytest.mark.parametrize("strategy", [SlidingWindow(), TokenBucket()], ids=repr)
@pytest.mark.parametrize("actual", [3, 10, 20])
async def test_a_reservation_that_is_cancelled_is_given_back_or_settled(clock, stores, strategy, actual):
    async for used in each_cut(clock, stores, lambda limits: reserve_and_commit(limits, actual), strategy):
        assert used in ([0, 0], [actual, actual])


@on_asyncio
@placements
async def test_a_refused_hit_that_is_cancelled_takes_from_none(clock, stores):
    async def work(limits):
        await limits[1].hit("a", 95)
        await hit_all("a", *limits, cost=10)

    async for used in each_cut(clock, stores, work):
        assert used == [0, 95]


@on_asyncio
@placements
async def test_giving_back_is_completed_if_it_is_cancelled(clock, stores):
    async def work(limits):
        async with reserve_all("a", *limits, cost=10) as reservation:
            await reservation.release()

    async for used in each_cut(clock, stores, work):
        assert used == [0, 0]


@placements
@pytest.mark.parametrize("patience", range(14))
async def test_after_a_scope_is_cancelled_the_units_add_up(clock, stores, patience):
    books = Books(clock, stores)
    async with anyio.create_task_group() as group:
        group.start_soon(reserve_and_commit, books.limits, 3)
        for _ in range(patience):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert await books.used() in ([0, 0], [3, 3])


@on_asyncio
async def test_a_reservation_that_is_cancelled_before_it_begins_is_given_back(clock):
    async for used in each_cut(clock, "one", reserve_beside_nothing):
        assert used in ([0, 0], [3, 3])


async def reserve_beside_nothing(limits):
    """Reserve beside a limit of cost 0, whose rate function suspends after the units were taken."""
    slow = Limiter("books:slow", slow_rate, backend=limits[0].backend)
    async with reserve_all("a", *limits, Hit(slow, cost=0), cost=3):
        pass


async def slow_rate(identity):
    await anyio.lowlevel.checkpoint()
    return "100/day"
