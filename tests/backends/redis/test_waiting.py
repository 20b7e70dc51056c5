"""Waiting for quota in Redis: on its clock, in order, and while it is unavailable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from tests.backends.redis.servers import free_port
from traffik import Limiter, SlidingLog, WaitTimeoutError
from traffik.backends.redis import Breaker, RedisBackend

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(redis_server):
    async with RedisBackend(redis_server.url, on_error="raise", deadline=5) as store:
        yield store


async def test_tasks_are_admitted_in_order_at_the_rate_of_the_limit(store):
    limiter = Limiter("waiting", "5/100ms", strategy=SlidingLog(), backend=store)
    admitted = []

    async def wait(name):
        await limiter.wait("ada")
        admitted.append(name)

    async with anyio.create_task_group() as tasks:
        for name in range(12):
            tasks.start_soon(wait, name)
    assert admitted == list(range(12))


async def test_waiting_callers_of_two_stores_with_one_quota_are_all_admitted(store, redis_server):
    admitted = []

    async def wait(limiter):
        admitted.append((await limiter.wait("ada", jitter=0.01)).allowed)

    async with RedisBackend(redis_server.url, on_error="raise", deadline=5) as other:
        limiters = [Limiter("waiting", "2/100ms", strategy=SlidingLog(), backend=each) for each in (store, other)]
        async with anyio.create_task_group() as tasks:
            for place in range(10):
                tasks.start_soon(wait, limiters[place % 2])
    assert admitted == [True] * 10


def test_waiting_threads_are_all_admitted(redis_server):
    with RedisBackend(redis_server.url, on_error="raise", deadline=5) as store, ThreadPoolExecutor(8) as pool:
        limiter = Limiter("waiting", "5/100ms", strategy=SlidingLog(), backend=store).sync
        assert all(pool.map(lambda _: limiter.wait("ada"), range(12)))


async def test_a_wait_for_an_unavailable_store_ends_at_the_timeout():
    options = {"on_error": "throttle", "breaker": Breaker(failures=1, recovery=0.05), "deadline": 0.5}
    async with RedisBackend(f"redis://127.0.0.1:{free_port()}/0", **options) as store:
        limiter = Limiter("waiting", "1/s", backend=store)
        with pytest.raises(WaitTimeoutError) as caught:
            await limiter.wait("ada", timeout=0.25)
    assert caught.value.decision.degraded == "unavailable"
