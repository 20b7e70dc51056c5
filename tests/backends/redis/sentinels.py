"""A primary and its replica, watched by three sentinels.

The sentinels' timeouts are shortened, so that a failover takes one or two seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.backends.redis.servers import Server, linked, replica_of, resolve, server, until

_GIVEN_UP_MS = 500

# After a primary has failed, sentinels accept a replica whose INFO is at most five ping periods old, and they read
# INFO once a second.
_PERIODS = {"INFO-PERIOD": 100, "PING-PERIOD": 300, "ASK-PERIOD": 100, "MIN-LINK-RECONNECT-PERIOD": 100}
_ACQUAINTED_IN = {"PUBLISH-PERIOD": 100}
# After four of these, a sentinel that has not heard of the failover makes the new primary a replica again. The sentinel
# that leads the failover reads the INFO of the replica only once a second.
_LATER = {"PUBLISH-PERIOD": 500}


class Sentinels:
    """A primary, a replica, and three sentinels that watch them.

    Attributes:
        name: the name of the service.
        nodes: the two servers with data. Their roles may have changed.
        watchers: the three sentinels.
    """

    name = "main"

    def __init__(self, nodes: Sequence[Server], watchers: Sequence[Server]) -> None:
        self.nodes = tuple(nodes)
        self.watchers = tuple(watchers)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses of the sentinels, as redis-py takes them."""
        return [(watcher.host, watcher.port) for watcher in self.watchers]

    @property
    def primary(self) -> Server:
        """The primary, according to the first sentinel."""
        port = self._named(self.watchers[0])
        return next(one for one in self.nodes if one.port == port)

    @property
    def replica(self) -> Server:
        """The replica."""
        primary = self.primary
        return next(one for one in self.nodes if one is not primary)

    def failover(self, *, by_killing: bool = False) -> None:
        """Promote the replica. Returns when all sentinels name it and it accepts writes.

        The old primary accepts writes too, which are lost, until the sentinels make it a replica two seconds later
        (eight outside of tests), or `wait_settled` does.

        Args:
            by_killing: kill the primary, which stays dead until it is restarted, and wait until the sentinels notice.
                If false, a command starts the failover.
        """
        old, new = self.primary, self.replica
        if by_killing:
            old.kill()
        else:
            # A sentinel refuses during another failover, or if it knows no healthy replica.
            until(lambda: self.watchers[0].command("SENTINEL", "FAILOVER", self.name), "a failover to begin")
        until(lambda: self._lead(new), f"{new} to take over from {old}", 30.0)

    def wait_settled(self) -> None:
        """Wait until the primary has its replica, and each sentinel knows both servers and the other sentinels.

        An old primary gets a command to follow the new one, since waiting for the sentinels would take longer.
        """
        until(lambda: self._lead(self.primary), "sentinels to agree on a primary that takes writes")
        primary, replica = self.primary, self.replica
        if replica.command("ROLE")[0] == b"master":
            replica.command("REPLICAOF", primary.host, primary.port)
        until(lambda: linked(replica), f"{replica} to follow {primary}")
        for watcher in self.watchers:
            until(lambda watcher=watcher: self._informed(watcher), f"{watcher} to know all")  # type: ignore[misc]  # as in clusters

    def pace(self, periods: Mapping[str, int]) -> None:
        """Set the periods of the sentinels, in ms."""
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
    """A service ``main`` that sentinels watch, settled. The options are passed to its two servers."""
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
