"""Which server to ask: the only one, the primary that sentinels know, or the owner of a slot in a cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
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
    greeting,
    log_in,
)
from traffik.backends.redis.protocol import Command
from traffik.backends.redis.settings import Endpoint, Login, Settings
from traffik.model.errors import BackendError

__all__ = ["SLOTS", "Servers", "Session", "Topology", "learn", "locate", "reach", "slot_of"]

SLOTS: Final = 16_384

_T = TypeVar("_T")


def slot_of(key: str) -> int:
    """The slot of a whole key, which is that of its hash tag."""
    return key_slot(key.encode())


class Topology:
    """The owners of all slots.

    Attributes:
        across: whether one call may be about several slots of a server. False behind a proxy that sends a call without
            declared keys to any server.
    """

    __slots__ = ("_owners", "across")

    def __init__(self, ranges: list[Any], asked: Endpoint) -> None:
        """Read the answer of `asked` to ``CLUSTER SLOTS``. An owner without a host is `asked` itself."""
        self._owners: list[Endpoint | None] = [None] * SLOTS
        self.across = True
        for first, last, owner, *_ in ranges:
            host = (owner[0] or b"").decode()
            endpoint = Endpoint(asked.host if host in {"", "?"} else host, int(owner[1]))
            self._owners[first : last + 1] = [endpoint] * (last + 1 - first)

    def owner(self, slot: int) -> Endpoint:
        """The server that owns `slot`.

        Raises:
            BackendError: none does.
        """
        owner = self._owners[slot]
        if owner is None:
            raise BackendError(f"no node of the cluster owns slot {slot}")
        return owner

    def moved(self, slot: int, endpoint: Endpoint) -> None:
        """Take note that `endpoint` owns `slot`."""
        self._owners[slot] = endpoint

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every server that owns a slot."""
        return tuple(dict.fromkeys(owner for owner in self._owners if owner is not None))


class Servers:
    """What a client knows of its servers, and how it may call them.

    Attributes:
        settings: where they are and how to log in.
        max_batch: operations in one call at most.
        patience: seconds that async code may take to connect, whatever becomes of the hits that wait for it.
        report: called with the error of every call that failed, and with None for one that did not.
        topology: which server owns which slot of a cluster, once that is known.
        outdated: whether something has shown that the topology is not what it was.
        doubted: servers that did not answer the last time. They are asked last.
    """

    __slots__ = ("doubted", "max_batch", "outdated", "patience", "report", "settings", "topology")

    def __init__(
        self, settings: Settings, max_batch: int, patience: float, report: Callable[[BackendError | None], None]
    ) -> None:
        self.settings = settings
        self.max_batch = max_batch
        self.patience = patience
        self.report = report
        self.topology: Topology | None = None
        self.outdated = False
        self.doubted: set[Endpoint] = set()

    def lost(self, endpoint: Endpoint | None) -> None:
        """Take note that a server does not answer: its slots may be elsewhere by now."""
        if endpoint is not None:
            self.doubted.add(endpoint)
            self.outdated = True


class Session(Generic[ConnectionT]):
    """Questions to servers that are no hits. It keeps the connection to the server it asked last.

    Args:
        connect: makes connections.
        servers: which of them answer is kept here.
        deadline: when to give up, on the monotonic clock; None gives each question `PATIENCE` seconds.
    """

    def __init__(self, connect: Connect[ConnectionT], servers: Servers, deadline: float | None = None) -> None:
        self._connect = connect
        self.servers = servers
        self._deadline = deadline
        self._connection: ConnectionT | None = None
        self._place: tuple[Endpoint, Login] | None = None

    async def ask(
        self, endpoint: Endpoint, *commands: Command, login: Login | None = None, part: float = 1, unless: str = ""
    ) -> list[Any]:
        """The replies of a server.

        Args:
            endpoint: the server.
            commands: the questions.
            login: how to log in there; None for the login of the servers that hold keys.
            part: how much of the time that is left they may take.
            unless: the first word of an error that may be a reply.

        Raises:
            BackendError: it does not answer, or answers with another error.
        """
        now = monotonic()
        until = now + (PATIENCE if self._deadline is None else (self._deadline - now) * part)
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
        self, endpoints: Iterable[Endpoint], ask: Callable[[Endpoint, float], Awaitable[_T]], failed: str
    ) -> _T:
        """The answer of the first server that has one, each asked in its part of the time.

        Raises:
            BackendError: none has; it says that this `failed`, and why.
        """
        reasons: list[str] = []
        known = sorted(dict.fromkeys(endpoints), key=self.servers.doubted.__contains__)
        for place, endpoint in enumerate(known):
            try:
                return await ask(endpoint, 1 / (len(known) - place))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with this one, the next one may know
                reasons.append(f"{endpoint}: {error}")
        raise BackendError(f"{failed}: {'; '.join(reasons)}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def locate(session: Session[Any]) -> Endpoint:
    """The server that holds all keys: the only one, or the primary that sentinels know.

    Raises:
        BackendError: no sentinel knows it.
    """
    settings = session.servers.settings
    if settings.kind != "sentinel":
        return settings.endpoints[0]
    question: Command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.service)

    async def ask(sentinel: Endpoint, part: float) -> Endpoint:
        (reply,) = await session.ask(sentinel, question, login=settings.sentinel_login, part=part)
        if reply is None:
            raise BackendError(f"does not know {settings.service!r}")
        return Endpoint(reply[0].decode(), int(reply[1]))

    return await session.first(settings.endpoints, ask, "no sentinel knows the primary")


async def learn(session: Session[Any]) -> Topology:
    """Learn the topology of a cluster, from the first node that tells it.

    Raises:
        BackendError: no node tells it.
    """
    servers = session.servers
    known = () if servers.topology is None else servers.topology.endpoints()

    async def ask(node: Endpoint, part: float) -> Topology:
        return Topology((await session.ask(node, ("CLUSTER", "SLOTS"), part=part))[0], node)

    nodes = (*known, *servers.settings.endpoints)
    servers.topology = await session.first(nodes, ask, "no node tells how the cluster is made")
    servers.outdated = False
    return servers.topology


async def reach(
    connect: Connect[ConnectionT], servers: Servers, endpoint: Endpoint | None, deadline: float
) -> ConnectionT:
    """A connection for hits: to `endpoint`, or to the server that holds all keys.

    Raises:
        BackendError: there is none by the deadline.
    """
    if endpoint is None:
        with closing(Session(connect, servers, deadline)) as session:
            endpoint = await locate(session)
    connection = await log_in(connect, endpoint, servers.settings.login, deadline)
    try:
        check_greeting(endpoint, await connection.ask(greeting(servers.settings), deadline))
    except BaseException:
        connection.close()
        raise
    return connection
