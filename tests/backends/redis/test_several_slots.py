"""On a cluster, waiting hits for several slots of one node share a call. Hits for other nodes are sent to those."""

from __future__ import annotations

import pytest

from traffik.backends.redis import Cluster, discovery
from traffik.backends.redis.batches import Entry, batch
from traffik.backends.redis.script import READ, Operation
from traffik.backends.redis.settings import Endpoint, read

CLIENTS = [f"client:{number}" for number in range(60)]


@pytest.fixture
def fleet(redis_cluster, shop):
    """A limiter on a cluster."""
    return shop(Cluster([f"{host}:{port}" for host, port in redis_cluster.addresses]), deadline=10, on_error="raise")


@pytest.fixture
def led_astray(monkeypatch):
    """Make the first table of owners wrong for every slot."""
    read_owners, learnt = discovery.read_owners, []

    def misread(ranges, asked):
        owners = [owner for _, _, owner, *_ in ranges]
        if not learnt:
            ranges = [[first, last, owners[place - 1]] for place, (first, last, *_) in enumerate(ranges)]
        learnt.append(ranges)
        return read_owners(ranges, asked)

    monkeypatch.setattr(discovery, "read_owners", misread)
    return learnt


def calls(cluster):
    return sum(node.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0) for node in cluster.primaries)


def counted_once(decisions):
    return [(decision.degraded, decision.remaining) for decision in decisions] == [(None, 999)] * len(CLIENTS)


@pytest.mark.parametrize("way", ["loop"], indirect=True)
def test_many_keys_are_a_few_calls(redis_cluster, fleet):
    fleet.hits(*(f"before:{number}" for number in range(60)))  # so that connections are open
    before = calls(redis_cluster)
    assert counted_once(fleet.hits(*CLIENTS))
    assert calls(redis_cluster) - before <= 3 * 3


def test_keys_sent_to_the_wrong_node_are_counted_once_at_the_right_one(redis_cluster, led_astray, fleet):
    assert counted_once(fleet.hits(*CLIENTS))
    assert {fleet.used(who) for who in CLIENTS} == {1}
    assert len(led_astray) > 1


def slots(*numbers):
    """Entries of one operation each, one for each slot."""
    for number in numbers:
        entry = Entry([Operation(f"traffik:t:{{{number}}}", READ)], 0)
        entry.slot = number
        yield entry


def test_if_a_node_has_none_of_the_slots_each_slot_is_asked_for_separately():
    servers = discovery.Servers(read("redis+cluster://a"), 128, 1.0, lambda _: None, owners=[Endpoint("a")])
    together = batch([*slots(1, 2)], servers, by_source=False)
    refused = [b"ERR Script attempted to access a non local key in a cluster node"] * 2
    again, by_source, trouble = together.settle([[0, *[-1, 0, 0, 0] * 2, *refused]], lambda *_: None)
    assert ([entry.slot for entry in again], by_source, trouble) == ([1, 2], False, None)
    assert (together.replies, batch([*slots(1, 2)], servers, by_source=False).replies) == (1, 2)


def test_while_a_slot_moves_keys_that_have_not_moved_are_counted_in_place(redis_cluster, fleet):
    assert counted_once(fleet.hits(*CLIENTS))
    slot = redis_cluster.slot_of(fleet.store.partition_key("shop", CLIENTS[0]))
    owner = redis_cluster.owner(slot)
    other = next(node for node in redis_cluster.primaries if node is not owner)
    redis_cluster.begin_migration(slot, other)
    redis_cluster.migrate(slot, other)
    assert {decision.remaining for decision in fleet.hits(*CLIENTS)} == {998}
    redis_cluster.finish_migration(slot, other)
    assert {decision.remaining for decision in fleet.hits(*CLIENTS)} == {997}
