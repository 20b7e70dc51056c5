"""The store passes the contract tests of stores: on one server, under sentinels, and on a cluster."""

from __future__ import annotations

import pytest

from traffik.backends.base import Backend
from traffik.backends.redis import Cluster, RedisBackend, Sentinel, batches, handshake
from traffik.backends.redis.script import SCRIPT, Script
from traffik.testing import ComposingContract, VirtualClock


class _RedisContract(ComposingContract):
    virtual_time = False

    @pytest.fixture(autouse=True)
    def _where(self, redis_server):
        self.where = redis_server.url

    def make(self, *, namespace, clock):
        return RedisBackend(self.where, namespace=namespace, on_error="raise", deadline=5, changes_within=None)


class TestOneServer(_RedisContract):
    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request):
        return request.param


class TestSentinels(_RedisContract):
    @pytest.fixture(autouse=True)
    def _where(self, sentinels):
        self.where = Sentinel([f"{host}:{port}" for host, port in sentinels.addresses], sentinels.name)


class TestCluster(_RedisContract):
    @pytest.fixture(autouse=True)
    def _where(self, redis_cluster):
        self.where = Cluster([f"{host}:{port}" for host, port in redis_cluster.addresses[:1]])


CLOCK = "a clock for tests"
TIME = "redis.call('TIME')"
LIVES = {"div(ttl, 1000) + MARGIN": "3600000", "'PX', life)": "'PX', 3600000)"}


class _OnClock(RedisBackend):
    """Sends the time of the virtual clock to the server before every step."""

    def __init__(self, server, clock, **options):
        super().__init__(server.url, **options)
        self._server = server.client()
        self._ticks = clock

    def prepare(self, uid, plan, *, sync):
        return Backend.prepare(self, uid, plan, sync=sync)

    async def apply(self, charges):
        self._tell()
        return await super().apply(charges)

    def apply_sync(self, charges):
        self._tell()
        return super().apply_sync(charges)

    def take(self, takes, kind, *, sync, back=()):
        self._tell()
        return super().take(takes, kind, sync=sync, back=back)

    def post(self, postings, *, sync):
        self._tell()
        return super().post(postings, sync=sync)

    def _tell(self):
        self._server.set(CLOCK, self._ticks.now, px=3_600_000)


class TestOnAVirtualClock(_RedisContract):
    """The same script, except that a key holds the time, and that the server keeps keys for longer."""

    virtual_time = True

    @pytest.fixture(autouse=True)
    def _where(self, redis_server, monkeypatch):
        self.server = redis_server
        source = SCRIPT.source
        for old, new in {TIME: f"{{0, redis.call('GET', '{CLOCK}')}}", **LIVES}.items():
            assert old in source
            source = source.replace(old, new)
        for module in (batches, handshake):
            monkeypatch.setattr(module, "SCRIPT", Script.of(source))

    def make(self, *, namespace, clock):
        options = {"namespace": namespace, "on_error": "raise", "deadline": 5, "changes_within": None}
        return _OnClock(self.server, clock or VirtualClock(), **options)
