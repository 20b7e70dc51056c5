"""Finds the server for a key: the only one, the primary reported by sentinels, or the owner of a slot in a cluster.

The functions raise a `BackendError` if no server answers. For async and sync code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from redis.crc import key_slot

from traffik.backends.redis.handshake import (
    PATIENCE,
    Connect,
    ConnectionT,
    check,
    check_greeting,
    failure,
    greet,
    log_in,
)
from traffik.backends.redis.protocol import Command
from traffik.backends.redis.settings import Endpoint, Login, Settings
from traffik.model.errors import BackendError

__all__ = ["SLOTS", "Servers", "Session", "learn", "locate", "reach", "read_owners", "slot_of"]

SLOTS: Final = 16_384

_T = TypeVar("_T")


def slot_of(key: str) -> int:
    """The slot of a key, which is that of its hash tag."""
    return key_slot(key.encode())


@dataclass(slots=True, eq=False)
class Servers:
    """The state of a client's servers, and the limits for calls to them.

    Attributes:
        settings: their addresses and logins.
        max_batch: the most operations in one call.
        patience: the seconds for connecting in async code, which goes on after the waiting hits have timed out.
        report: called with the error of each failed call, and with None after a successful one.
        sent: called with the number of hits in each batch.
        owners: the owner of each slot of a cluster; empty until the cluster has been asked.
        outdated: whether the owners may have changed.
        across: whether one call may have keys of several slots of a server. False behind a proxy that sends a call
            without declared keys to any server.
        doubted: servers that did not answer their last call. They are asked last.
    """

    settings: Settings
    max_batch: int
    patience: float
    report: Callable[[BackendError | None], None]
    sent: Callable[[int], None] = lambda _: None
    owners: list[Endpoint | None] = field(default_factory=list)
    outdated: bool = True
    across: bool = True
    doubted: set[Endpoint] = field(default_factory=set)

    def lost(self, endpoint: Endpoint | None) -> None:
        """Note that a server does not answer, so its slots may have other owners."""
        if endpoint is not None:
            self.doubted.add(endpoint)
            self.outdated = True

    def moved(self, slot: int, owner: Endpoint) -> None:
        """Note that a slot has moved to another server, as others may have."""
        self.owners[slot] = owner
        self.outdated = True

    def owner(self, slot: int) -> Endpoint:
        """The owner of a slot."""
        owner = self.owners[slot]
        if owner is None:
            self.outdated = True
            raise BackendError(f"no node of the cluster owns slot {slot}")
        return owner

    def nodes(self) -> tuple[Endpoint, ...]:
        """Every server that owns a slot."""
        return tuple(dict.fromkeys(owner for owner in self.owners if owner is not None))


class Session(Generic[ConnectionT]):
    """Calls to servers that are not hits. It keeps the connection to the server of the last call.

    Args:
        connect: opens connections.
        servers: the servers. Failures are noted here.
        deadline: when to stop, on the monotonic clock; None allows each call `PATIENCE` seconds.
    """

    def __init__(self, connect: Connect[ConnectionT], servers: Servers, deadline: float | None = None) -> None:
        self._connect = connect
        self.servers = servers
        self._deadline = deadline
        self._connection: ConnectionT | None = None
        self._place: tuple[Endpoint, Login] | None = None

    async def ask(
        self, endpoint: Endpoint, *commands: Command, login: Login | None = None, share: float = 1, unless: str = ""
    ) -> list[Any]:
        """The replies of a server.

        Args:
            endpoint: the server.
            commands: the commands to send.
            login: the login; None for that of the servers with the keys.
            share: the part of the time until the deadline that the server may take.
            unless: as in `check`.
        """
        now = monotonic()
        until = now + (PATIENCE if self._deadline is None else (self._deadline - now) * share)
        place = endpoint, login or self.servers.settings.login
        try:
            if self._connection is None or self._place != place:
                self.close()
                self._connection = await log_in(self._connect, *place, until)
                self._place = place
            replies = await self._connection.ask(commands, until)
        except Exception as error:
            self._place = None
            self.servers.doubted.add(endpoint)
            raise failure(error, sent=True) from error
        self.servers.doubted.discard(endpoint)
        return check(endpoint, replies, unless=unless)

    async def first(
        self, endpoints: tuple[Endpoint, ...], ask: Callable[[Endpoint, float], Awaitable[_T]], failed: str
    ) -> _T:
        """The result of `ask` from the first server that has one. Doubted servers are asked last.

        Each server may take its share of the time, so there is time for the others if one hangs. If all fail, `failed`
        begins the message of the error.
        """
        reasons: list[str] = []
        known = sorted(dict.fromkeys(endpoints), key=self.servers.doubted.__contains__)
        for place, endpoint in enumerate(known):
            try:
                return await ask(endpoint, 1 / (len(known) - place))
            except Exception as error:  # noqa: BLE001 - the next server may answer, even after a bug here
                reasons.append(f"{endpoint}: {error}")
        raise BackendError(f"{failed}: {'; '.join(reasons)}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def locate(session: Session[Any]) -> Endpoint:
    """The server with all keys: the only one, or the primary reported by a sentinel."""
    settings = session.servers.settings
    if settings.kind != "sentinel":
        return settings.endpoints[0]
    question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.service)

    async def ask(sentinel: Endpoint, share: float) -> Endpoint:
        (reply,) = await session.ask(sentinel, question, login=settings.sentinel_login, share=share)
        if reply is None:
            raise BackendError(f"does not know {settings.service!r}")
        return Endpoint(reply[0].decode(), int(reply[1]))

    return await session.first(settings.endpoints, ask, "no sentinel knows the primary")


async def learn(session: Session[Any]) -> None:
    """Ask the nodes of a cluster which server owns each slot, until one answers."""
    servers = session.servers

    async def ask(node: Endpoint, share: float) -> list[Endpoint | None]:
        (ranges,) = await session.ask(node, ("CLUSTER", "SLOTS"), share=share)
        if not ranges:
            raise BackendError("knows no slots, so it has left the cluster, or has not joined it yet")
        return read_owners(ranges, node)

    nodes = servers.nodes() + servers.settings.endpoints
    servers.owners = await session.first(nodes, ask, "no node reports the slots of the cluster")
    servers.outdated, servers.across = False, True


def read_owners(ranges: list[Any], asked: Endpoint) -> list[Endpoint | None]:
    """The owners in the reply of `asked` to ``CLUSTER SLOTS``. An owner without a host is `asked` itself."""
    owners: list[Endpoint | None] = [None] * SLOTS
    for first, last, owner, *_ in ranges:
        host = (owner[0] or b"").decode()
        endpoint = Endpoint(asked.host if host in {"", "?"} else host, int(owner[1]))
        owners[first : last + 1] = [endpoint] * (last + 1 - first)
    return owners


async def reach(
    connect: Connect[ConnectionT], servers: Servers, endpoint: Endpoint | None, deadline: float
) -> ConnectionT:
    """A connection for hits: to `endpoint`, or if that is None, to the server with all keys."""
    if endpoint is None:
        with closing(Session(connect, servers, deadline)) as session:
            endpoint = await locate(session)
    connection = await log_in(connect, endpoint, servers.settings.login, deadline)
    try:
        check_greeting(endpoint, await connection.ask(greet(servers.settings), deadline))
    except BaseException:
        connection.close()
        raise
    return connection
