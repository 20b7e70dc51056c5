"""Concurrent hits on each store are counted exactly under each event loop."""

from __future__ import annotations

import sys

import anyio
import pytest

from tests.backends.redis.servers import server
from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.redis import RedisBackend

LOOPS = {"asyncio": ("asyncio", {}), "trio": ("trio", {})}
if sys.platform != "win32":
    LOOPS["uvloop"] = ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="module")
def redis():
    with server() as one:
        yield one


@pytest.fixture(params=["memory", "lmdb", "redis"])
def store(request, tmp_path):
    if request.param == "redis":
        return RedisBackend(request.getfixturevalue("redis").url, namespace=tmp_path.name, on_error="raise", deadline=5)
    return InMemoryBackend() if request.param == "memory" else LMDBBackend(tmp_path, on_error="raise")


@pytest.mark.parametrize("loop", LOOPS)
def test_concurrent_hits_are_counted_exactly(store, loop):
    allowed = []

    async def hit(limiter):
        allowed.append((await limiter.hit("ada")).allowed)

    async def hits():
        async with store, anyio.create_task_group() as group:
            limiter = Limiter("loops", "5/hour", backend=store)
            for _ in range(12):
                group.start_soon(hit, limiter)

    backend, options = LOOPS[loop]
    anyio.run(hits, backend=backend, backend_options=options)
    assert sorted(allowed) == [False] * 7 + [True] * 5
