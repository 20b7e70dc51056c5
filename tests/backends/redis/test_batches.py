"""Batching: the first hit is sent at once, later ones share calls, and full calls do not wait for each other."""

from __future__ import annotations

import asyncio
import time

import pytest

from traffik import Limiter
from traffik.backends.redis import RedisBackend
from traffik.backends.redis.async_batcher import AsyncBatcher
from traffik.backends.redis.batches import Entry
from traffik.backends.redis.discovery import Servers
from traffik.backends.redis.script import CHARGE, READ, Operation, arguments
from traffik.backends.redis.settings import read

pytestmark = pytest.mark.anyio


def store(url, **options):
    return RedisBackend(url, on_error="raise", **{"deadline": 10, **options})


def calls(server):
    return server.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)


async def hits(limiter, count, key=str):
    return await asyncio.gather(*(limiter.hit(key(number)) for number in range(count)))


@pytest.mark.parametrize("key", [str, lambda _: "hot"], ids=["many keys", "one key"])
async def test_concurrent_hits_share_a_few_calls(redis_server, key):
    async with store(redis_server.url) as one:
        limiter = Limiter("t", "1000/day", backend=one)
        await limiter.hit("first")
        before = calls(redis_server)
        assert all(await hits(limiter, 100, key))
        assert calls(redis_server) - before <= 3


async def test_each_sequential_hit_is_a_call(redis_server):
    async with store(redis_server.url) as one:
        limiter = Limiter("t", "1000/day", backend=one)
        before = calls(redis_server)
        for _ in range(10):
            await limiter.hit("a")
        assert calls(redis_server) - before == 10


async def test_a_call_has_at_most_max_batch_hits(redis_server):
    async with store(redis_server.url, max_batch=10) as one:
        limiter = Limiter("t", "1000/day", backend=one)
        await limiter.hit("first")
        before = calls(redis_server)
        assert all(await hits(limiter, 101))
        assert 11 <= calls(redis_server) - before <= 12


async def test_what_hits_in_a_row_have_in_common_is_sent_once():
    plan = Limiter("t", "1000/day").own_plan
    sent = arguments([Operation(key, CHARGE, plan, cost) for key, cost in [("a", 1), ("b", 1), ("c", 2), ("d", 1)]])
    assert sent[:5] == ["4", "a", "b", "c", "d"]
    assert sent[5].endswith("],[1,1,0,2,1,2,0,1,1,1,0,1]]")


async def test_hits_are_decided_in_the_order_they_came(redis_server):
    async with store(redis_server.url, max_batch=7) as one:
        decisions = await hits(Limiter("t", "1000/day", backend=one), 50, lambda _: "hot")
        assert [decision.remaining for decision in decisions] == list(range(999, 949, -1))


async def test_full_calls_do_not_wait_for_each_other(proxy):
    async with store(proxy.url, max_batch=10) as one:
        limiter = Limiter("t", "1000/day", backend=one)
        await limiter.hit("first")
        before, proxy.latency_ms = proxy.commands["EVALSHA"], 1000
        under_way = [asyncio.ensure_future(limiter.hit(str(number))) for number in range(61)]
        while proxy.commands["EVALSHA"] - before < 7:
            assert not any(hit.done() for hit in under_way)
            await asyncio.sleep(0.001)  # the proxy reads from a real socket
        assert all(await asyncio.gather(*under_way))


class Way:
    """A fake connection that notes the number of hits of each call. `reply` answers the oldest call."""

    def __init__(self):
        self.lost, self.calls, self._landed = None, [], []

    def send(self, payload, replies, landed):
        self.calls.append(payload.count(b"traffik:t:{"))
        self._landed.append((self.calls[-1], landed))

    def reply(self):
        hits, landed = self._landed.pop(0)
        landed([[1, *[0] * 4 * hits]])

    def drop(self, error):
        self.lost = error


@pytest.fixture
async def batcher():
    """A batcher on a `Way`, and a function that makes `count` hits and returns the calls so far."""
    way = Way()
    batcher = AsyncBatcher(Servers(read("redis://"), 128, 1.0, lambda _: None), None)
    batcher._connection = way

    def after(count):
        for number in range(count):
            batcher.carry_out(Entry([Operation(f"traffik:t:{{{number}}}", READ)], time.monotonic() + 60))
        return way.calls

    yield way, after
    batcher.close()


async def test_a_second_call_has_eight_hits_and_half_of_those_under_way(batcher):
    way, after = batcher
    assert [after(1)[:], after(7)[:], after(1)[:]] == [[1], [1], [1, 8]]
    assert after(30) == [1, 8]  # two calls are under way
    way.reply()
    assert way.calls == [1, 8, 30]
    assert after(14) == [1, 8, 30]
    way.reply()
    assert way.calls == [1, 8, 30]  # 14 hits are fewer than half of the 30 under way
    assert after(1) == [1, 8, 30, 15]
    way.reply()
    way.reply()
