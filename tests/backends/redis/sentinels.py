"""A primary and its replica under three sentinels, made of the servers of `tests.backends.redis.servers`.

The sentinels' clocks are sped up, so that a failover takes one or two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.backends.redis.servers import Server, linked, replica_of, resolve, server, until

_GIVEN_UP_MS = 500

# After a primary's fall its replica must have been looked at within five periods of a ping, and that is once a second.
_PERIODS = {"INFO-PERIOD": 100, "PING-PERIOD": 300, "ASK-PERIOD": 100, "MIN-LINK-RECONNECT-PERIOD": 100}
_ACQUAINTED_IN = {"PUBLISH-PERIOD": 100}
# A sentinel lets four of these pass, and then takes a replica that has become the primary for a mistake, unless it has
# heard of the failover; and the one that has ordered it looks at the replica only once a second meanwhile.
_LATER = {"PUBLISH-PERIOD": 500}


class Sentinels:
    """A primary, a replica, and three sentinels that watch them.

    Attributes:
        name: of the service.
        nodes: the two servers that hold data, whatever their roles are now.
        watchers: the sentinels.
    """

    name = "main"

    def __init__(self, nodes: Sequence[Server], watchers: Sequence[Server]) -> None:
        self.nodes = tuple(nodes)
        self.watchers = tuple(watchers)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Of the sentinels, as clients take them."""
        return [(watcher.host, watcher.port) for watcher in self.watchers]

    @property
    def primary(self) -> Server:
        """The one that the first sentinel names."""
        port = self._named(self.watchers[0])
        return next(one for one in self.nodes if one.port == port)

    @property
    def replica(self) -> Server:
        """The other one."""
        primary = self.primary
        return next(one for one in self.nodes if one is not primary)

    def failover(self, *, by_killing: bool = False) -> None:
        """Make the replica the primary; over when all sentinels name it and it takes writes.

        The other one takes writes too, which will be lost, until the sentinels make it a replica two seconds later
        (eight outside of tests), or `wait_settled` does.

        Args:
            by_killing: kill the primary, which stays dead until it is restarted, and let the sentinels find out; else
                they are told to.
        """
        old, new = self.primary, self.replica
        if by_killing:
            old.kill()
        else:
            # A sentinel refuses while it is still busy with the last failover, or knows no replica that is well.
            until(lambda: self.watchers[0].command("SENTINEL", "FAILOVER", self.name), "a failover to begin")
        until(lambda: self._lead(new), f"{new} to take over from {old}")

    def wait_settled(self) -> None:
        """Wait until the primary has its replica, and every sentinel knows that and the other sentinels.

        An old primary is told to follow the new one, rather than waited for.
        """
        until(lambda: self._lead(self.primary), "sentinels to agree on a primary that takes writes")
        primary, replica = self.primary, self.replica
        if replica.command("ROLE")[0] == b"master":
            replica.command("REPLICAOF", primary.host, primary.port)
        until(lambda: linked(replica), f"{replica} to follow {primary}")
        for watcher in self.watchers:
            until(lambda watcher=watcher: self._informed(watcher), f"{watcher} to know all")  # type: ignore[misc]  # as in clusters

    def pace(self, periods: Mapping[str, int]) -> None:
        """How often sentinels look, ask and tell, in ms."""
        for watcher in self.watchers:
            watcher.command("SENTINEL", "DEBUG", *(word for period in periods.items() for word in period))

    def _lead(self, server: Server) -> bool:
        named = {self._named(watcher) for watcher in self.watchers}
        return named == {server.port} and server.command("ROLE")[0] == b"master"

    def _named(self, watcher: Server) -> int:
        return int(watcher.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])

    def _informed(self, watcher: Server) -> bool:
        primary = _fields(watcher.command("SENTINEL", "MASTER", self.name))
        replicas = [_fields(replica) for replica in watcher.command("SENTINEL", "REPLICAS", self.name)]
        return (primary["flags"], primary["num-other-sentinels"]) == ("master", "2") and [
            (replica["flags"], replica["master-link-status"]) for replica in replicas
        ] == [("slave", "ok")]


def _fields(flat: Sequence[bytes] | dict[bytes, bytes]) -> dict[str, str]:
    if not isinstance(flat, dict):
        flat = dict(zip(flat[::2], flat[1::2], strict=True))
    return {name.decode(): value.decode() for name, value in flat.items()}


@contextmanager
def sentinel(*options: str, binary: Path | None = None) -> Iterator[Sentinels]:
    """A service ``main`` that sentinels watch, settled; the options are those of its two servers."""
    binary = binary or resolve()
    with ExitStack() as stack:
        primary = stack.enter_context(server(*options, binary=binary))
        replica = stack.enter_context(replica_of(primary, *options))
        name = Sentinels.name
        config = (
            f"sentinel monitor {name} {primary.host} {primary.port} 2\n"
            f"sentinel down-after-milliseconds {name} {_GIVEN_UP_MS}\n"
            f"sentinel failover-timeout {name} 2000\n"
        )
        watchers = [stack.enter_context(server("--sentinel", binary=binary, config=config)) for _ in range(3)]
        service = Sentinels((primary, replica), watchers)
        service.pace({**_PERIODS, **_ACQUAINTED_IN})
        service.wait_settled()
        service.pace(_LATER)
        yield service
