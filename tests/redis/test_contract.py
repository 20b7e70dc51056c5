"""The store keeps what every store keeps: one server, a primary under sentinels, and a cluster."""

from __future__ import annotations

import pytest

from traffik.backends.redis import Cluster, RedisBackend, Sentinel
from traffik.testing import BackendContract


class _RedisContract(BackendContract):
    virtual_time = False

    @pytest.fixture(autouse=True)
    def _where(self, redis_server):
        self.where = redis_server.url

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request):
        return request.param

    def make(self, *, namespace, clock):
        return RedisBackend(self.where, namespace=namespace, on_error="raise", deadline=5)


class TestOneServer(_RedisContract):
    pass


class TestSentinels(_RedisContract):
    @pytest.fixture(autouse=True)
    def _where(self, sentinels):
        self.where = Sentinel([f"{host}:{port}" for host, port in sentinels.addresses], sentinels.name)


class TestCluster(_RedisContract):
    @pytest.fixture(autouse=True)
    def _where(self, redis_cluster):
        self.where = Cluster([f"{host}:{port}" for host, port in redis_cluster.addresses[:1]])
