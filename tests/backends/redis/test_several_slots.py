"""On a cluster hits that wait for one server share a call, whatever their slots; what is elsewhere goes on alone."""

from __future__ import annotations

import pytest

from traffik.backends.redis import Cluster
from traffik.backends.redis.discovery import Topology

CLIENTS = [f"client:{number}" for number in range(60)]


@pytest.fixture
def fleet(redis_cluster, shop):
    """A limiter on a cluster."""
    return shop(Cluster([f"{host}:{port}" for host, port in redis_cluster.addresses]), deadline=10, on_error="raise")


@pytest.fixture
def led_astray(monkeypatch):
    """The first topology that hits are sent by has every slot at the wrong server."""
    read, learnt = Topology.__init__, []

    def misread(self, ranges, asked):
        owners = [owner for _, _, owner, *_ in ranges]
        if not learnt:
            ranges = [[first, last, owners[place - 1]] for place, (first, last, *_) in enumerate(ranges)]
        learnt.append(self)
        read(self, ranges, asked)

    monkeypatch.setattr(Topology, "__init__", misread)
    return learnt


def calls(cluster):
    return sum(node.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0) for node in cluster.primaries)


def counted_once(decisions):
    return [(decision.degraded, decision.remaining) for decision in decisions] == [(None, 999)] * len(CLIENTS)


@pytest.mark.parametrize("way", ["loop"], indirect=True)
def test_many_keys_are_a_few_calls(redis_cluster, fleet):
    fleet.hits(*(f"before:{number}" for number in range(60)))  # so that there are connections
    before = calls(redis_cluster)
    assert counted_once(fleet.hits(*CLIENTS))
    assert calls(redis_cluster) - before <= 3 * 3


def test_what_is_elsewhere_is_counted_there_once(redis_cluster, led_astray, fleet):
    assert counted_once(fleet.hits(*CLIENTS))
    assert {fleet.used(who) for who in CLIENTS} == {1}
    assert len(led_astray) > 1


@pytest.mark.parametrize("way", ["loop"], indirect=True)
def test_a_server_that_has_none_of_them_is_asked_for_each_by_itself(led_astray, fleet):
    fleet.hits(*CLIENTS)
    assert [topology.across for topology in led_astray[:1]] == [False]


def test_of_what_moves_that_which_has_not_moved_is_counted_where_it_is(redis_cluster, fleet):
    assert counted_once(fleet.hits(*CLIENTS))
    slot = redis_cluster.slot_of(fleet.store.partition_key("shop", CLIENTS[0]))
    owner = redis_cluster.owner(slot)
    other = next(node for node in redis_cluster.primaries if node is not owner)
    redis_cluster.begin_migration(slot, other)
    redis_cluster.migrate(slot, other)
    assert {decision.remaining for decision in fleet.hits(*CLIENTS)} == {998}
    redis_cluster.finish_migration(slot, other)
    assert {decision.remaining for decision in fleet.hits(*CLIENTS)} == {997}
