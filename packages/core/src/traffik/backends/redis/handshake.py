"""How a connection begins: it logs in, and leaves the script with the server. For async and sync code."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from traffik.backends.redis.protocol import Command, ErrorReply
from traffik.backends.redis.script import script
from traffik.backends.redis.settings import Endpoint, Login, Settings
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["PATIENCE", "Connect", "Connection", "check", "check_greeting", "failure", "greeting", "log_in"]

PATIENCE: Final = 1.0
"""Seconds that a server may take to answer a question that no hit waits for."""

_PING: Final[Command] = ("PING",)


class Connection(Protocol):
    """A connection to one server. Its coroutines never suspend in sync code."""

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """The replies to `commands`, if nothing else uses the connection meanwhile. After an error it is closed.

        Raises:
            BackendError: the replies did not come by the deadline, which is on the monotonic clock.
        """
        ...

    def close(self) -> None:
        """Close at once."""


ConnectionT = TypeVar("ConnectionT", bound=Connection)

Connect: TypeAlias = Callable[[Endpoint, "ssl.SSLContext | None", float], Awaitable[ConnectionT]]
"""Connects to a server by a deadline."""


async def log_in(connect: Connect[ConnectionT], endpoint: Endpoint, login: Login, deadline: float) -> ConnectionT:
    """A connection to `endpoint`, logged in.

    Raises:
        BackendError: there is none by the deadline, or the server refuses the login.
    """
    try:
        connection = await connect(endpoint, login.tls, deadline)
    except TimeoutError:
        raise BackendTimeoutError(f"cannot connect to {endpoint} in time") from None
    except Exception as error:  # also a UnicodeError, for a name that no host can have
        raise BackendError(f"cannot connect to {endpoint}: {error}") from error
    try:
        # A server that wants a password resets the connection at the first long command, which the script is. So a
        # short one goes first, to get its NOAUTH.
        if commands := login.commands():
            check(endpoint, await connection.ask(commands, deadline))
        else:
            check(endpoint, await connection.ask((_PING,), deadline), unless="NOPERM")
    except BaseException:
        connection.close()
        raise
    return connection


def greeting(settings: Settings) -> list[Command]:
    """The first commands to a server that is asked more than once: the script, so that its SHA-1 is known."""
    load: Command = ("SCRIPT", "LOAD", script()[0])
    return [load, ("ROLE",)] if settings.kind == "sentinel" else [load]


def check_greeting(endpoint: Endpoint, replies: list[Any]) -> None:
    """`check` for a greeting. A user who may not load the script sends it with the first hit.

    Raises:
        BackendError: the server refuses, or is a replica.
    """
    for reply in check(endpoint, replies, unless="NOPERM"):
        if isinstance(reply, list) and reply[:1] in ([b"slave"], [b"replica"]):
            raise BackendError(f"{endpoint} is no primary any more")


def check(endpoint: Endpoint, replies: list[Any], *, unless: str = "") -> list[Any]:
    """The replies of a server themselves.

    Args:
        endpoint: the server.
        replies: what it has answered.
        unless: the first word of an error that does not matter.

    Raises:
        BackendError: one of them is another error.
    """
    for reply in replies:
        if isinstance(reply, ErrorReply) and (not unless or not str(reply).startswith(unless)):
            raise BackendError(f"{endpoint} answered {str(reply)!r}")
    return replies


def failure(error: BaseException, *, sent: bool) -> BackendError:
    """Any error on the way to a server as one of ours.

    Args:
        error: what went wrong.
        sent: whether the hit was on its way by then. If not, it has not been carried out.
    """
    if not isinstance(error, BackendError):
        kind = BackendTimeoutError if isinstance(error, TimeoutError) else BackendError
        text = "Redis could not be reached in time" if kind is BackendTimeoutError else f"Redis failed with {error!r}"
        return kind(text, maybe_executed=sent)
    error.maybe_executed = error.maybe_executed and sent
    return error
