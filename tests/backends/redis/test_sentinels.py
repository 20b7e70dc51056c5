"""The sentinels for the tests move the primary."""

from __future__ import annotations

import socket

import pytest
from redis.sentinel import Sentinel

from tests.backends.redis.ways import Shop
from traffik.backends.redis import RedisBackend


@pytest.fixture
def service(sentinels):
    """A client that finds the service by its sentinels."""
    finder = Sentinel(sentinels.addresses)
    yield finder.master_for(sentinels.name)
    for watcher in finder.sentinels:
        watcher.close()


def test_a_client_finds_the_primary_and_its_writes_reach_the_replica(sentinels, service):
    with service as client:
        client.set("a", 1, ex=60)
        assert client.wait(1, 5000) == 1
    assert [sentinels.primary.command("GET", "a"), sentinels.replica.command("GET", "a")] == [b"1", b"1"]


def test_a_failover_moves_the_primary(sentinels):
    old, new = sentinels.primary, sentinels.replica
    sentinels.failover()
    assert (sentinels.primary, sentinels.replica) == (new, old)


def test_the_replica_of_a_primary_that_is_killed_takes_over(sentinels, service):
    old, new = sentinels.primary, sentinels.replica
    sentinels.failover(by_killing=True)
    assert (sentinels.primary, old.alive) == (new, False)
    with service as client:
        assert client.set("a", 1, ex=60)


def test_if_a_sentinel_hangs_the_next_one_is_asked_in_time(sentinels, way):
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        hosts = ",".join(f"{host}:{port}" for host, port in [hanging.getsockname(), *sentinels.addresses])
        store = RedisBackend(f"redis+sentinel://{hosts}/{sentinels.name}", deadline=2)
        assert Shop(way, store).hit().degraded is None
        store.close_sync()
