"""The first commands on a connection: log in, and load the script into the server. For async and sync code.

The functions raise a `BackendError` if the server does not answer by the deadline, or refuses.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from traffik.backends.redis.protocol import Command, ErrorReply, error_text
from traffik.backends.redis.script import SCRIPT
from traffik.backends.redis.settings import Endpoint, Login, Settings
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["PATIENCE", "Connect", "Connection", "ConnectionT", "check", "check_greeting", "failure", "greet", "log_in"]

PATIENCE: Final = 1.0
"""Seconds that a server may take for a call that is not a hit."""


class Connection(Protocol):
    """A connection to one server. In sync code, its coroutine never suspends."""

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """The replies to `commands`. No other call may be in flight. After an error the connection is closed.

        Raises:
            BackendError: they did not arrive by the deadline, on the monotonic clock.
        """
        ...

    def close(self) -> None:
        """Close at once."""


ConnectionT = TypeVar("ConnectionT", bound=Connection)

Connect: TypeAlias = Callable[[Endpoint, "ssl.SSLContext | None", float], Awaitable[ConnectionT]]
"""Connects to a server. Raises a TimeoutError at the deadline, and an OSError if it cannot connect."""


async def log_in(connect: Connect[ConnectionT], endpoint: Endpoint, login: Login, deadline: float) -> ConnectionT:
    """A connection to `endpoint`, logged in."""
    try:
        connection = await connect(endpoint, login.tls, deadline)
    except TimeoutError:
        raise BackendTimeoutError(f"cannot connect to {endpoint} in time") from None
    except Exception as error:  # also a UnicodeError, for an invalid host name
        raise BackendError(f"cannot connect to {endpoint}: {error}") from error
    try:
        commands: list[Command] = [*login.commands()]  # asks the credential provider, which may fail
        # If a server requires a password, it resets a connection whose first command is long, such as the script. It
        # replies NOAUTH to a short one.
        replies = await connection.ask(commands or [("PING",)], deadline)
        check(endpoint, replies, unless="" if commands else "NOPERM")
    except BaseException:
        connection.close()
        raise
    return connection


def greet(settings: Settings) -> list[Command]:
    """The first commands to a server: load the script, so it can be called by its SHA-1."""
    load: Command = ("SCRIPT", "LOAD", SCRIPT.source)
    return [load, ("ROLE",)] if settings.kind == "sentinel" else [load]


def check_greeting(endpoint: Endpoint, replies: list[Any]) -> None:
    """`check` for the replies to `greet`. If the login may not load the script, the first hit sends it."""
    for reply in check(endpoint, replies, unless="NOPERM"):
        if isinstance(reply, list) and reply[:1] in ([b"slave"], [b"replica"]):
            raise BackendError(f"{endpoint} is no longer a primary")


def check(endpoint: Endpoint, replies: list[Any], *, unless: str = "") -> list[Any]:
    """The replies themselves.

    Raises:
        BackendError: one is an error, and does not begin with the word `unless`.
    """
    for reply in replies:
        if isinstance(reply, ErrorReply) and (not unless or not str(reply).startswith(unless)):
            raise BackendError(f"{endpoint} answered {error_text(reply)!r}")
    return replies


def failure(error: BaseException, *, sent: bool) -> BackendError:
    """Any error of a call to a server as a `BackendError`. If the hit was not `sent`, it was not carried out."""
    if not isinstance(error, BackendError):
        kind = BackendTimeoutError if isinstance(error, TimeoutError) else BackendError
        text = "Redis could not be reached in time" if kind is BackendTimeoutError else f"Redis failed with {error!r}"
        return kind(text, maybe_executed=sent)
    error.maybe_executed = error.maybe_executed and sent
    return error
