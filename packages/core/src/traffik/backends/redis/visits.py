"""How a server is found and greeted, as steps: the one source for async and sync code.

A recipe yields a `Visit`; whoever drives it connects, logs in, sends the commands, and sends the replies back into it
(or throws in the `BackendError` that came of it).
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from traffik.backends.redis.script import script
from traffik.backends.redis.settings import Endpoint, Login, Settings
from traffik.backends.redis.topology import Topology
from traffik.backends.redis.wire import Command, ErrorReply
from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["PATIENCE", "Visit", "Visits", "check", "check_greeting", "failure", "greeting", "learn", "locate"]

_T = TypeVar("_T")

PATIENCE: Final = 1.0
"""Seconds that a visit may take of which no hit waits for the end."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Go to a server, log in, ask, and leave."""

    endpoint: Endpoint
    login: Login
    commands: tuple[Command, ...]


Visits: TypeAlias = Generator[Visit, list[Any], _T]


def locate(settings: Settings, doubted: Container[Endpoint] = ()) -> Visits[Endpoint]:
    """The server that holds the keys, if it is one; sentinels are asked in turn until one knows, doubted ones last."""
    if settings.kind != "sentinel":
        return settings.endpoints[0]
    question: Command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.service)
    reasons: list[str] = []
    for sentinel in sorted(settings.endpoints, key=doubted.__contains__):
        try:
            (reply,) = yield Visit(sentinel, settings.sentinel_login, (question,))
            check(sentinel, [reply])
            if reply is not None:
                return Endpoint(reply[0].decode(), int(reply[1]))
        except Exception as error:  # noqa: BLE001 - no answer, or one of any other form: the next one may know better
            reasons.append(f"{sentinel}: {error}")
        else:
            reasons.append(f"{sentinel} does not know {settings.service!r}")
    raise BackendError(f"no sentinel knows the primary: {'; '.join(reasons)}")


def learn(settings: Settings, known: Iterable[Endpoint], doubted: Container[Endpoint] = ()) -> Visits[Topology]:
    """The table of a cluster, from the first node that tells it; doubted ones are asked last."""
    reasons: list[str] = []
    for node in sorted(dict.fromkeys((*known, *settings.endpoints)), key=doubted.__contains__):
        try:
            (reply,) = yield Visit(node, settings.login, (("CLUSTER", "SLOTS"),))
            check(node, [reply])
            return Topology(reply, node)
        except Exception as error:  # noqa: BLE001 - as above
            reasons.append(f"{node}: {error}")
    raise BackendError(f"no node tells how the cluster is made: {'; '.join(reasons)}")


def greeting(settings: Settings) -> tuple[Command, ...]:
    """What a connection that stays begins with, after its login: the script, so that its SHA-1 is known."""
    load: Command = ("SCRIPT", "LOAD", script()[0])
    return (load, ("ROLE",)) if settings.kind == "sentinel" else (load,)


def check(endpoint: Endpoint, replies: list[Any]) -> None:
    """See that a server has answered no error, and that it is a primary if it was asked its role.

    Raises:
        BackendError: it has, or it is not.
    """
    for reply in replies:
        if isinstance(reply, ErrorReply):
            # A long command, such as our first, is not even read from somebody who has not logged in.
            text = "NOAUTH Authentication required." if "unauthenticated" in str(reply) else str(reply)
            raise BackendError(f"{endpoint} answered {text!r}")
        if isinstance(reply, list) and reply[:1] in ([b"slave"], [b"replica"]):
            raise BackendError(f"{endpoint} is no primary any more")


def check_greeting(endpoint: Endpoint, replies: list[Any]) -> None:
    """`check` for what a greeting was answered: who may not load the script sends it with the first hit.

    Raises:
        BackendError: another error was answered, or a role that is not a primary's.
    """
    refused = [isinstance(reply, ErrorReply) and str(reply).startswith("NOPERM") for reply in replies]
    check(endpoint, [reply for reply, is_refused in zip(replies, refused, strict=True) if not is_refused])


def failure(error: BaseException, *, sent: bool = True) -> BackendError:
    """Any error on the way to a server as one of ours.

    Args:
        error: what went wrong.
        sent: whether what is asked was on its way by then; if not, it has not been carried out.
    """
    if not isinstance(error, BackendError):
        kind = BackendTimeoutError if isinstance(error, TimeoutError) else BackendError
        text = "Redis could not be reached in time" if kind is BackendTimeoutError else f"Redis failed with {error!r}"
        return kind(text, maybe_executed=sent)
    error.maybe_executed = error.maybe_executed and sent
    return error
