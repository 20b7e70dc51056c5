"""How a connection begins: it logs in, and leaves the script with the server. For async and sync code.

All of it raises a `BackendError` if the server does not answer by the deadline, or refuses.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from traffik.backends.redis.protocol import Command, ErrorReply
from traffik.backends.redis.script import script
from traffik.backends.redis.settings import Endpoint, Login, Settings
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["PATIENCE", "Connect", "Connection", "ConnectionT", "check", "check_greeting", "failure", "greet", "log_in"]

PATIENCE: Final = 1.0
"""Seconds that a server may take to answer a question that no hit waits for."""


class Connection(Protocol):
    """A connection to one server. In sync code its coroutine never suspends."""

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """The replies to `commands`, which nothing else may be waiting for. After an error it is closed.

        Raises:
            BackendError: they did not come by the deadline, on the monotonic clock.
        """
        ...

    def close(self) -> None:
        """Close at once."""


ConnectionT = TypeVar("ConnectionT", bound=Connection)

Connect: TypeAlias = Callable[[Endpoint, "ssl.SSLContext | None", float], Awaitable[ConnectionT]]
"""Connects to a server by a deadline; raises a TimeoutError then, and an OSError if it cannot."""


async def log_in(connect: Connect[ConnectionT], endpoint: Endpoint, login: Login, deadline: float) -> ConnectionT:
    """A connection to `endpoint`, logged in."""
    try:
        connection = await connect(endpoint, login.tls, deadline)
    except TimeoutError:
        raise BackendTimeoutError(f"cannot connect to {endpoint} in time") from None
    except Exception as error:  # also a UnicodeError, for a name that no host can have
        raise BackendError(f"cannot connect to {endpoint}: {error}") from error
    commands: list[Command] = [*login.commands()]
    try:
        # A server that wants a password resets a connection whose first command is long, as the script is. It answers
        # NOAUTH to a short one.
        replies = await connection.ask(commands or [("PING",)], deadline)
        check(endpoint, replies, unless="" if commands else "NOPERM")
    except BaseException:
        connection.close()
        raise
    return connection


def greet(settings: Settings) -> list[Command]:
    """The first commands to a server that will be asked more: the script, so that its SHA-1 is known."""
    load: Command = ("SCRIPT", "LOAD", script()[0])
    return [load, ("ROLE",)] if settings.kind == "sentinel" else [load]


def check_greeting(endpoint: Endpoint, replies: list[Any]) -> None:
    """`check` for the replies to `greet`. A user who may not load the script sends it with the first hit."""
    for reply in check(endpoint, replies, unless="NOPERM"):
        if isinstance(reply, list) and reply[:1] in ([b"slave"], [b"replica"]):
            raise BackendError(f"{endpoint} is no primary any more")


def check(endpoint: Endpoint, replies: list[Any], *, unless: str = "") -> list[Any]:
    """The replies themselves.

    Raises:
        BackendError: one is an error, and does not begin with the word `unless`.
    """
    for reply in replies:
        if isinstance(reply, ErrorReply) and (not unless or not str(reply).startswith(unless)):
            raise BackendError(f"{endpoint} answered {str(reply)!r}")
    return replies


def failure(error: BaseException, *, sent: bool) -> BackendError:
    """Any error on the way to a server as a `BackendError`. Unless the hit was `sent`, it was not carried out."""
    if not isinstance(error, BackendError):
        kind = BackendTimeoutError if isinstance(error, TimeoutError) else BackendError
        text = "Redis could not be reached in time" if kind is BackendTimeoutError else f"Redis failed with {error!r}"
        return kind(text, maybe_executed=sent)
    error.maybe_executed = error.maybe_executed and sent
    return error
