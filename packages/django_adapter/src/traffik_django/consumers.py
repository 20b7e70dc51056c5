"""The adapter for consumers of Channels: it reads plain data from their scope, and rejects WebSockets.

A consumer does not record whether it has accepted its WebSocket. `ThrottledConsumerMixin` does, so that a hit in
`connect` can deny the handshake. Without the mixin a consumer counts as accepted. Sync consumers share one thread,
which must not sleep for one of them. With the mixin, the event loop waits before it passes them their next message.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from channels.exceptions import DenyConnection, StopConsumer
from django.apps import apps

from traffik.adapters import Memory
from traffik.limits.floods import REASON
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.responses import rejections
from traffik.responses.rejections import Rejection, Reply
from traffik_django.adapter import MEMORY, STORE_ADVICE
from traffik_django.bases import check_bases

__all__ = [
    "ConsumerAdapter",
    "ConsumerClosed",
    "ConsumerDenied",
    "ConsumerThrottled",
    "ThrottledConsumerMixin",
    "consumer",
]

_ACCEPTED = "traffik.accepted"
_CLOSED = "traffik.closed"
_LEFT = "traffik.left"
_PAUSE = "traffik.pause"


class ConsumerThrottled(rejections.Throttled, DenyConnection):
    """A refused WebSocket before its accept. Channels closes it, so the server denies the handshake."""


class ConsumerDenied(rejections.Throttled, StopConsumer):
    """A refused WebSocket before its accept, on a server that can send a status. It got 429, and the consumer ends."""


class ConsumerClosed(rejections.Throttled, StopConsumer):
    """A WebSocket that was closed for a flood. The `disconnect` of its consumer was called, and the consumer ends."""


class ThrottledConsumerMixin:
    """Put it before the consumer's base class: ``class Chat(ThrottledConsumerMixin, AsyncWebsocketConsumer)``.

    Raises:
        ConfigurationError: it comes after the consumer's base class.
    """

    scope: Any
    base_send: Any
    _sync: bool

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_bases(cls, ThrottledConsumerMixin, "accept")

    def accept(self, *args: Any, **kwargs: Any) -> Any:
        """Accept the WebSocket, as the base class does. In async consumers the result has to be awaited."""
        self.scope[_ACCEPTED] = True
        return super().accept(*args, **kwargs)  # type: ignore[misc]  # the consumer behind the mixin has it

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the WebSocket, as the base class does. In async consumers the result has to be awaited."""
        self.scope[_CLOSED] = True
        return super().close(*args, **kwargs)  # type: ignore[misc]  # the consumer behind the mixin has it

    async def dispatch(self, message: Any) -> None:
        """Handle a message, as the base class does, and then wait if a throttle has asked for a pause."""
        await super().dispatch(message)  # type: ignore[misc]  # the consumer behind the mixin has it
        sleep = self.scope.pop(_PAUSE, None)
        if sleep is not None:
            await sleep()


class ConsumerAdapter:
    """For consumers of WebSockets, sync and async."""

    injects: type | None = None
    websocket = True
    store_advice = STORE_ADVICE

    def peer(self, connection: Any, /) -> str | None:
        client = connection.scope.get("client")
        return (client[0] or None) if client else None

    def headers(self, connection: Any, name: str, /) -> Sequence[str]:
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in connection.scope.get("headers", ()) if key == wanted]

    def method(self, connection: Any, /) -> str:
        return "GET"

    def path(self, connection: Any, /) -> str:
        scope = connection.scope
        path: str = scope["path"]
        return path.removeprefix(scope.get("root_path", ""))

    def route(self, connection: Any, /) -> str | None:
        raise ConfigurationError("Channels does not tell a consumer its route; give the rule a path instead of a route")

    def app(self, connection: Any, /) -> object | None:
        return apps

    def subapps(self, app: object, /) -> Iterable[object]:
        return ()

    def memory(self, connection: Any, /) -> Memory:
        memory: Memory = connection.scope.setdefault(MEMORY, {})
        return memory

    def accepted(self, connection: Any, /) -> bool:
        return not isinstance(connection, ThrottledConsumerMixin) or _ACCEPTED in connection.scope

    def pause(self, connection: Any, sleep: Callable[[], Awaitable[None]], /) -> Awaitable[None] | None:
        if not connection._sync:
            return sleep()
        if not isinstance(connection, ThrottledConsumerMixin):
            raise ConfigurationError(
                f"{describe(connection)} is sync: to pause it, put ThrottledConsumerMixin before its base"
            )
        connection.scope[_PAUSE] = sleep
        return None

    def close(self, connection: Any, rejection: Rejection, code: int, /) -> Awaitable[None] | None:
        if _LEFT in connection.scope:
            raise ConsumerClosed(rejection)
        if _CLOSED in connection.scope:
            return None
        connection.scope[_LEFT] = True
        if not connection._sync:
            return _close(connection, rejection, code)
        with suppress(OSError):  # the client has gone already
            connection.close(code=code, reason=REASON)
        with suppress(StopConsumer):
            connection.websocket_disconnect({"type": "websocket.disconnect", "code": code})
        raise ConsumerClosed(rejection)

    def reject(self, connection: Any, rejection: Rejection, /) -> Awaitable[None] | None:
        if _CLOSED in connection.scope:
            return None
        if self.accepted(connection):
            text = json.dumps(rejection.message, separators=(",", ":"))
            if not connection._sync:
                return _send(connection, text)
            with suppress(OSError):
                connection.send(text_data=text)
            return None
        if "websocket.http.response" not in connection.scope.get("extensions", {}):
            raise ConsumerThrottled(rejection)
        messages = _answer(rejection.reply(self.headers(connection, "accept")))
        if connection._sync:
            for message in messages:
                connection.base_send(message)
            raise ConsumerDenied(rejection)
        return _deny(connection, rejection, messages)


async def _deny(connection: ThrottledConsumerMixin, rejection: Rejection, messages: Iterable[dict[str, Any]]) -> None:
    for message in messages:
        await connection.base_send(message)
    raise ConsumerDenied(rejection)


def _answer(reply: Reply) -> tuple[dict[str, Any], dict[str, Any]]:
    """The messages that deny a handshake with a status, on a server that supports it."""
    fields = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    fields.append((b"content-length", b"%d" % len(reply.body)))
    start = {"type": "websocket.http.response.start", "status": reply.status, "headers": fields}
    return start, {"type": "websocket.http.response.body", "body": reply.body}


async def _send(connection: Any, text: str) -> None:
    with suppress(OSError):  # the client has gone, which the next message reports
        await connection.send(text_data=text)


async def _close(connection: Any, rejection: Rejection, code: int) -> None:
    with suppress(OSError):  # the client has gone already
        await connection.close(code=code, reason=REASON)
    with suppress(StopConsumer):
        await connection.websocket_disconnect({"type": "websocket.disconnect", "code": code})
    raise ConsumerClosed(rejection)


consumer: Final = ConsumerAdapter()
