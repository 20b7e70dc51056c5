"""The clusters for the tests redirect their clients."""

from __future__ import annotations

import pytest
from redis.cluster import RedisCluster
from redis.exceptions import AskError, MovedError, TryAgainError

from tests.backends.redis.clusters import SLOTS


@pytest.fixture
def slot(redis_cluster):
    """The slot of keys with the tag ``{a}``, with two keys in it."""
    slot = redis_cluster.slot_of("{a}")
    for key in ("{a}1", "{a}2"):
        redis_cluster.owner(slot).command("SET", key, key, "EX", 60)
    return slot


@pytest.fixture
def other(redis_cluster, slot):
    """A primary that does not serve the slot."""
    return next(node for node in redis_cluster.primaries if node is not redis_cluster.owner(slot))


def test_every_slot_has_an_owner_and_keys_are_stored_there(redis_cluster):
    assert {redis_cluster.owner(slot) for slot in range(0, SLOTS, SLOTS // 9)} == set(redis_cluster.primaries)
    with RedisCluster.from_url(redis_cluster.url) as client:
        for number in range(20):
            client.set(f"key:{number}", number, ex=60)
            owner = redis_cluster.owner(redis_cluster.slot_of(f"key:{number}"))
            assert owner.command("GET", f"key:{number}") == b"%d" % number


def test_during_a_migration_a_moved_key_gives_ask_and_keys_in_two_places_give_tryagain(redis_cluster, slot, other):
    owner = redis_cluster.owner(slot)
    redis_cluster.begin_migration(slot, other)
    assert owner.command("GET", "{a}1") == b"{a}1"
    redis_cluster.migrate(slot, other, "{a}1")
    with pytest.raises(AskError, match=f"{slot} 127.0.0.1:{other.port}"):
        owner.command("GET", "{a}1")
    with pytest.raises(TryAgainError):
        owner.command("MGET", "{a}1", "{a}2")
    with pytest.raises(MovedError):
        other.command("GET", "{a}1")
    redis_cluster.finish_migration(slot, other)


def test_after_a_migration_the_slot_and_its_keys_are_at_the_new_owner(redis_cluster, slot, other):
    owner = redis_cluster.owner(slot)
    redis_cluster.move_slot(slot, other)
    assert redis_cluster.owner(slot) is other
    assert other.command("MGET", "{a}1", "{a}2") == [b"{a}1", b"{a}2"]
    with pytest.raises(MovedError, match=f"{slot} 127.0.0.1:{other.port}"):
        owner.command("GET", "{a}1")


def test_the_replica_of_a_primary_takes_over(redis_cluster):
    old = redis_cluster.owner(0)
    new = redis_cluster.failover(old)
    assert (redis_cluster.owner(0), redis_cluster.replica_of(new)) == (new, old)


def test_the_replica_of_a_primary_that_is_killed_takes_over(redis_cluster):
    old = redis_cluster.owner(SLOTS - 1)
    new = redis_cluster.failover(old, by_killing=True)
    assert (redis_cluster.owner(SLOTS - 1), old.alive, len(redis_cluster.primaries)) == (new, False, 3)
