"""Failovers and moving slots during continuous hits.

No failover refills a quota beyond the loss that the guide names, and every decision is one of the server's counts.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from threading import Event, Thread

import pytest

from tests.backends.redis.clusters import cluster
from tests.backends.redis.servers import PATIENCE, resolve, until
from tests.backends.redis.ways import LIMIT, Shop, way_of
from traffik.backends.base import Charge
from traffik.backends.redis import Breaker, Cluster, RedisBackend, Sentinel
from traffik.backends.redis.discovery import slot_of

WHOSE = [f"user:{number}" for number in range(12)]


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def clustered(shop, redis_cluster):
    """A `Shop` on a cluster. It knows one node at first."""
    host, port = redis_cluster.addresses[0]
    return shop(Cluster([f"{host}:{port}"]), deadline=2, breaker=Breaker(failures=1000))


@pytest.fixture
def guarded(shop, sentinels):
    """A `Shop` on a primary under sentinels."""
    addresses = [f"{host}:{port}" for host, port in sentinels.addresses]
    return shop(Sentinel(addresses, sentinels.name), deadline=0.5, breaker=Breaker(failures=3, recovery=0.1))


@contextmanager
def load(one, whose):
    """Hit with all clients in turn, again and again, while the context lasts; yields the decisions of each client."""
    decisions = {who: [] for who in whose}
    over = Event()

    def hit():
        while not over.is_set():
            for who, decision in zip(whose, one.hits(*whose), strict=True):
                decisions[who].append(decision)

    thread = Thread(target=hit)
    thread.start()
    try:
        until(lambda: len(decisions[whose[-1]]) > 3, "hits to come")
        yield decisions
        seen = len(decisions[whose[-1]])
        until(lambda: len(decisions[whose[-1]]) > seen + 3, "hits to come on")
    finally:
        over.set()
        thread.join()


def undisturbed(decisions):
    """Assert that the server has decided every hit and counted each once."""
    for each in decisions.values():
        left = [max(0, LIMIT - count) for count in range(1, len(each) + 1)]
        assert [(one.degraded, one.remaining) for one in each] == [(None, count) for count in left]


def continued(decisions):
    """Assert that the server decided before and after the failover, and that usage was lost at most once."""
    for each in decisions.values():
        left = [one.remaining for one in each if one.degraded is None and one.allowed]
        rises = [after - before for before, after in pairwise(left) if after >= before]
        assert len(rises) <= 1
        assert {one.degraded for one in each} <= {None, "fallback"}
        assert all(one.degraded is None for one in (each[0], each[-1]))


def store_on(where):
    return RedisBackend(where, breaker=Breaker(recovery=0.05), changes_within=None)


def of_one_slot(one, count):
    """`count` clients whose keys share a slot, and that slot."""
    found = {}
    for number in range(1_000_000):
        whose = found.setdefault(slot_of(one.store.partition_key("shop", f"user:{number}")), [])
        whose.append(f"user:{number}")
        if len(whose) == count:
            return whose, slot_of(one.store.partition_key("shop", whose[0]))
    raise AssertionError


def other(redis_cluster, slot):
    return next(node for node in redis_cluster.primaries if node is not redis_cluster.owner(slot))


def test_clients_do_not_notice_a_moving_slot(clustered, redis_cluster):
    slot = slot_of(clustered.store.partition_key("shop", "user:0"))
    with load(clustered, WHOSE) as decisions:
        redis_cluster.move_slot(slot, other(redis_cluster, slot))
    undisturbed(decisions)


def test_keys_of_a_moving_slot_are_counted_at_either_owner(clustered, redis_cluster):
    whose, slot = of_one_slot(clustered, 3)
    target = other(redis_cluster, slot)
    with load(clustered, whose) as decisions:
        redis_cluster.begin_migration(slot, target)
        for who in whose[:2]:
            redis_cluster.migrate(slot, target, clustered.store.partition_key("shop", who))
            seen = len(decisions[whose[-1]])
            until(lambda seen=seen: len(decisions[whose[-1]]) > seen + 5, "hits to come meanwhile")
        redis_cluster.finish_migration(slot, target)
    undisturbed(decisions)


def test_a_new_key_of_a_moving_slot_is_counted_at_the_new_owner(clustered, redis_cluster):
    whose, slot = of_one_slot(clustered, 2)
    target = other(redis_cluster, slot)
    redis_cluster.begin_migration(slot, target)
    assert [clustered.hit(who).remaining for who in whose * 2] == [LIMIT - 1, LIMIT - 1, LIMIT - 2, LIMIT - 2]
    assert target.command("DBSIZE") == 2
    redis_cluster.finish_migration(slot, target)
    assert clustered.hit(whose[0]).remaining == LIMIT - 3


def test_a_cluster_that_is_down_counts_as_an_unavailable_store(shop, redis_cluster):
    errors = []
    one = shop(redis_cluster_url(redis_cluster), on_error=lambda error: errors.append(str(error)) or "allow")
    slot = slot_of(one.store.partition_key("shop", "ada"))
    owner = redis_cluster.owner(slot)
    assert one.hit().degraded is None
    owner.command("CLUSTER", "DELSLOTS", slot)
    assert (one.hit().degraded, "CLUSTERDOWN" in errors[0]) == ("allow", True)
    owner.command("CLUSTER", "ADDSLOTS", slot)
    one.recovered()
    until(lambda: one.hit().degraded is None, "the slot to be served again")


def redis_cluster_url(redis_cluster):
    return f"redis+cluster://{','.join(f'{host}:{port}' for host, port in redis_cluster.addresses[:2])}"


def test_a_cluster_used_as_a_single_server_is_an_error_with_the_reason(shop, redis_cluster):
    errors = []
    one = shop(redis_cluster.url, on_error=lambda error: errors.append(str(error)) or "allow")
    one.hits(*WHOSE)
    assert "this is a node of a cluster" in errors[0]
    assert "make the store with a Cluster" in errors[0]


def test_a_planned_failover_of_a_cluster_loses_nothing(clustered, redis_cluster):
    with load(clustered, WHOSE) as decisions:
        redis_cluster.failover(redis_cluster.primaries[0])
    undisturbed(decisions)


@pytest.mark.parametrize(("way", "fall"), [("loop", "killed"), ("threads", "stopped")], indirect=["way"])
def test_after_a_primary_of_a_cluster_is_killed_its_replica_decides(clustered, redis_cluster, fall):
    owner = redis_cluster.owner(slot_of(clustered.store.partition_key("shop", WHOSE[0])))
    replica = redis_cluster.replica_of(owner)
    with load(clustered, WHOSE) as decisions:
        owner.kill() if fall == "killed" else owner.stop()
        until(lambda: replica.command("ROLE")[0] == b"master", "the replica to take over")
        until(lambda: all(each[-1].degraded is None for each in decisions.values()), "the replica to be asked")
    continued(decisions)


def test_after_a_node_has_left_the_cluster_the_promoted_one_decides(binary):
    with cluster(binary=binary, replicas=True) as nodes, way_of("loop") as loop, way_of("threads") as threads:
        left = nodes.primaries[0]
        where = Cluster([f"{node.host}:{node.port}" for node in (left, *nodes.nodes)])
        shops = [Shop(way, store_on(where)) for way in (loop, threads)]
        key_of = shops[0].store.partition_key
        whose = next(who for who in WHOSE if nodes.owner(slot_of(key_of("shop", who))) is left)
        assert [shop.hit(whose).degraded for shop in shops] == [None, None]
        left.command("FLUSHALL")
        left.command("CLUSTER", "RESET", "HARD")
        for shop in (*shops, Shop(threads, store_on(where))):
            until(lambda shop=shop: shop.hit(whose).degraded is None, "the promoted node to decide", PATIENCE)
            shop.store.close_sync()


@pytest.mark.parametrize("way", ["loop", "threads"], indirect=True)
def test_while_one_primary_of_a_cluster_is_down_the_others_decide(shop, redis_cluster):
    one = shop(redis_cluster_url(redis_cluster), breaker=Breaker(failures=1000))
    owner = redis_cluster.owner(slot_of(one.store.partition_key("shop", WHOSE[0])))
    own = [who for who in WHOSE if redis_cluster.owner(slot_of(one.store.partition_key("shop", who))) is owner]
    assert len(own) < len(WHOSE)
    one.hits(*WHOSE)
    owner.stop()
    decisions = dict(zip(WHOSE, one.hits(*WHOSE), strict=True))
    owner.cont()
    assert {who for who, each in decisions.items() if each.degraded} == set(own)


@pytest.mark.parametrize("way", ["loop"], indirect=True)  # sync code asks one server after the other
def test_only_the_charges_of_the_primary_that_is_down_are_degraded(shop, redis_cluster):
    one = shop(redis_cluster_url(redis_cluster))
    owners = [redis_cluster.owner(slot_of(one.store.partition_key("shop", who))) for who in WHOSE]
    charges = [Charge("shop", one.limiter.own_plan, who, 1) for who in WHOSE]
    one.way.apply(one.store, charges)
    owners[0].stop()
    decisions = one.way.apply(one.store, charges)
    owners[0].cont()
    assert [each.degraded is not None for each in decisions] == [owner is owners[0] for owner in owners]


@pytest.mark.parametrize(
    ("way", "fall"),
    [("loop", "told"), ("threads", "killed"), ("loop", "stopped"), ("threads", "told")],
    indirect=["way"],
)
def test_after_a_failover_of_sentinels_the_new_primary_decides(guarded, sentinels, fall):
    with load(guarded, WHOSE) as decisions:
        old, new = sentinels.primary, sentinels.replica
        if fall == "stopped":
            old.stop()
            until(lambda: sentinels.primary is new and new.command("ROLE")[0] == b"master", "the replica to take over")
        else:
            sentinels.failover(by_killing=fall == "killed")
        until(lambda: new.info("keyspace") and guarded.hit().degraded is None, "the new primary to be asked")
    continued(decisions)
    assert new.command("EXISTS", guarded.store.partition_key("shop", WHOSE[0])) == 1
