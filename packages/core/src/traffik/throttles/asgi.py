"""The common part of adapters for ASGI: refusals as ASGI messages, and the RateLimit headers on responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from traffik.limits.defaults import fields_of
from traffik.limits.floods import VIOLATION
from traffik.responses.rejections import Throttled

if TYPE_CHECKING:
    from traffik.adapters import Memory
    from traffik.responses.rejections import Rejection, Reply

__all__ = [
    "MEMORY",
    "WRITES",
    "App",
    "Message",
    "PreparedAnswer",
    "Receive",
    "Scope",
    "Send",
    "accepted_kinds",
    "adding_fields",
    "answering",
    "can_deny",
    "close_unopened",
    "send_reply",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[..., Awaitable[object]]
"""An ASGI application. Each framework has its own types for the scope and the two functions."""


MEMORY: Final = "traffik.model.decisions"
"""The key of the scope under which the decisions about a connection are kept."""

WRITES: Final = "traffik.headers"
"""The key of the scope that is set if a middleware is going to write the headers."""


class PreparedAnswer:
    """An ASGI application that sends a rejection. The bytes for each media type are prepared once."""

    __slots__ = ("_ready", "_rejection")

    def __init__(self, rejection: Rejection) -> None:
        self._rejection = rejection
        self._ready: dict[str, tuple[int, list[tuple[bytes, bytes]], bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accept = accepted_kinds(scope)
        kind = self._rejection.kind(accept)
        if kind not in self._ready:
            self._ready[kind] = _in_bytes(self._rejection.reply(accept))
        await _send(*self._ready[kind], scope, send)


def accepted_kinds(scope: Mapping[str, Any]) -> list[str]:
    """The lines of the header field Accept."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]


async def send_reply(reply: Reply, scope: Scope, send: Send) -> None:
    """Send a whole response, or deny a WebSocket with it."""
    await _send(*_in_bytes(reply), scope, send)


def can_deny(scope: Scope) -> bool:
    """Whether the server can deny this WebSocket with a response."""
    return "websocket.http.response" in scope.get("extensions", {})


def close_unopened(send: Send, code: int = VIOLATION, reason: str | None = "Too many requests.") -> Awaitable[None]:
    """Deny a WebSocket by closing it before it is accepted."""
    return send({"type": "websocket.close", "code": code, "reason": reason or ""})


def adding_fields(send: Send, memory: Memory) -> Send:
    """`send`, with the RateLimit headers of all throttles that the request has hit until the response starts."""

    def sender(message: Message) -> Awaitable[None]:
        if memory and message["type"] == "http.response.start":
            fields, status = message.get("headers", ()), message["status"]
            written = () if status < 400 else {name.lower() for name, _ in fields}
            message["headers"] = [*fields, *fields_of(memory, written, status=status)]
        return send(message)

    return sender


async def answering(
    app: App, scope: Scope, receive: Receive, send: Send, answer: Callable[[Throttled], Awaitable[None]]
) -> None:
    """Call `app`. If a refused hit leaves it before it has sent anything, call `answer` with the error."""
    begun = False

    def sender(message: Message) -> Awaitable[None]:
        nonlocal begun
        begun = True
        return send(message)

    try:
        await app(scope, receive, sender)
    except Throttled as error:
        if begun:
            raise
        await answer(error)


def _in_bytes(reply: Reply) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    status, fields, body = reply
    raw = [(name.lower().encode(), value.encode()) for name, value in fields]
    return status, [*raw, (b"content-length", b"%d" % len(body))], body


async def _send(status: int, headers: list[tuple[bytes, bytes]], body: bytes, scope: Scope, send: Send) -> None:
    message = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    await send({"type": f"{message}.start", "status": status, "headers": headers.copy()})
    await send({"type": f"{message}.body", "body": body})
