"""A Redis cluster on the loopback interface. Tests can move its slots step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.backends.redis.servers import HOST, Server, resolve, server, until

SLOTS = 16_384

_TIMEOUT_MS = 1000
_CONFIG = f"""\
cluster-enabled yes
cluster-node-timeout {_TIMEOUT_MS}
cluster-replica-validity-factor 0
cluster-allow-replica-migration no
"""


class Cluster:
    """Primaries that share the slots evenly, with or without a replica of each.

    Attributes:
        nodes: all servers, the first primaries first. Their roles may have changed since.
    """

    def __init__(self, nodes: Sequence[Server]) -> None:
        self.nodes = tuple(nodes)
        self._ids = {node: self._id(node) for node in nodes}

    @property
    def url(self) -> str:
        """The URL of a running node. Clients learn the other nodes from it."""
        return self._any.url

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses of all nodes."""
        return [(node.host, node.port) for node in self.nodes]

    @property
    def primaries(self) -> list[Server]:
        """The nodes that are primaries now."""
        return [node for node in self.nodes if node.alive and node.command("ROLE")[0] == b"master"]

    def slot_of(self, key: str) -> int:
        """The slot of a key."""
        return int(self._any.command("CLUSTER", "KEYSLOT", key))

    def owner(self, slot: int) -> Server:
        """The primary that serves a slot."""
        owner = next(owner for span, owner in _owners(self._any.command) if slot in span)
        return next(node for node, name in self._ids.items() if name == owner)

    def replica_of(self, primary: Server) -> Server:
        """A replica of a primary."""
        return next(node for node in self.nodes if self._leader(node) == primary.port)

    def begin_migration(self, slot: int, to: Server) -> None:
        """Begin to move a slot: from now on its owner redirects requests for keys it does not have to ``to`` (ASK).

        If a command has several keys and one of them has moved, the reply is TRYAGAIN.
        """
        owner = self.owner(slot)
        to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", self._ids[owner])
        owner.command("CLUSTER", "SETSLOT", slot, "MIGRATING", self._ids[to])

    def migrate(self, slot: int, to: Server, *keys: bytes | str) -> None:
        """Move keys of a slot whose migration has begun; all of them if none are given."""
        owner = self.owner(slot)
        while batch := keys or owner.command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            owner.command("MIGRATE", to.host, to.port, "", 0, 5000, "KEYS", *batch)
            if keys:
                return

    def finish_migration(self, slot: int, to: Server) -> None:
        """Move the remaining keys and then the slot. Returns when every node knows the new owner (MOVED)."""
        self.migrate(slot, to)
        owner = self.owner(slot)
        for node in (to, owner, *(node for node in self.primaries if node not in {to, owner})):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", self._ids[to])
        self.wait_settled()

    def move_slot(self, slot: int, to: Server) -> None:
        """Move a slot with its keys."""
        if self.owner(slot) is not to:
            self.begin_migration(slot, to)
            self.finish_migration(slot, to)

    def failover(self, primary: Server, *, by_killing: bool = False) -> Server:
        """Promote the replica of a primary. Returns it when every node knows.

        Args:
            primary: one that has a replica.
            by_killing: kill the primary and wait until the cluster notices; it stays dead until a restart (then it is a
                replica, since its configuration file says so). If false, primary and replica swap roles.
        """
        replica = self.replica_of(primary)
        if by_killing:
            primary.kill()
        else:
            replica.command("CLUSTER", "FAILOVER")
        asked = time.monotonic()

        def elected() -> bool:
            # Primaries vote only once per shard within two node timeouts. After that, ask again.
            nonlocal asked
            if not by_killing and time.monotonic() > asked + 2 * _TIMEOUT_MS / 1000:
                replica.command("CLUSTER", "FAILOVER")
                asked = time.monotonic()
            return replica in self.primaries

        until(elected, f"{replica} to take over from {primary}")
        self.wait_settled()
        return replica

    def wait_settled(self) -> None:
        """Wait until all running nodes report a healthy cluster with the same owners, and replicas are in sync."""
        until(self._ok, "the cluster to agree")

    def _ok(self) -> bool:
        views = []
        for node in self.nodes:
            if node.alive:
                with node.client() as client:  # one connection for all that is asked
                    follows = client.execute_command("ROLE")[0] != b"master"
                    if follows and client.info("replication").get("master_link_status") != "up":
                        return False
                    if b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                        return False
                    views.append(_owners(client.execute_command))
        return all(view == views[0] for view in views)

    @property
    def _any(self) -> Server:
        return next(node for node in self.nodes if node.alive)

    @staticmethod
    def _id(node: Server) -> str:
        return str(node.command("CLUSTER", "MYID").decode())

    @staticmethod
    def _leader(node: Server) -> int | None:
        role = node.command("ROLE") if node.alive else [b"dead"]
        return int(role[2]) if role[0] == b"slave" else None


def _owners(ask: Callable[..., Any]) -> list[tuple[range, str]]:
    """The ranges of slots and the ids of their owners, according to the node that answers."""
    ranges = ask("CLUSTER", "SLOTS")
    return sorted(((range(first, last + 1), owner[2].decode()) for first, last, owner, *_ in ranges), key=str)


@contextmanager
def cluster(*options: str, binary: Path | None = None, primaries: int = 3, replicas: bool = False) -> Iterator[Cluster]:
    """A healthy cluster. With `replicas`, each primary has one. The options are passed to every server."""
    binary = binary or resolve()
    count = primaries * 2 if replicas else primaries
    with ExitStack() as stack:
        nodes = [stack.enter_context(server(*options, binary=binary, config=_CONFIG)) for _ in range(count)]
        one = Cluster(nodes)
        _acquaint(nodes, primaries)
        for node, primary in zip(nodes[primaries:], nodes, strict=False):
            node.command("CLUSTER", "REPLICATE", one._ids[primary])
        one.wait_settled()
        yield one


def _acquaint(nodes: Sequence[Server], primaries: int) -> None:
    """Give the first nodes their slots, and introduce all nodes to each other."""
    bounds = [SLOTS * number // primaries for number in range(primaries + 1)]
    for epoch, node in enumerate(nodes, 1):
        node.command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        nodes[0].command("CLUSTER", "MEET", HOST, node.port)
    for node, first, end in zip(nodes, bounds, bounds[1:], strict=False):
        node.command("CLUSTER", "ADDSLOTS", *range(first, end))
    for node in nodes:
        until(lambda node=node: _knows(node, len(nodes)), f"{node} to know all others")  # type: ignore[misc]  # the default binds it


def _knows(node: Server, count: int) -> bool:
    lines = node.command("CLUSTER", "NODES").decode().splitlines()
    return len(lines) == count and not any("handshake" in line or "noaddr" in line for line in lines)
