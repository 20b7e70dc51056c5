"""What traffik needs of a consumer of Channels, and how a WebSocket is refused there.

A consumer does not know whether it has accepted. `ThrottledConsumerMixin` makes it know, so that a hit in `connect` can
deny the handshake; without the mixin a consumer counts as accepted.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from channels.exceptions import DenyConnection, StopConsumer
from django.apps import apps

from traffik import errors
from traffik.adapters import Memory
from traffik.rejections import Rejection
from traffik_django.adapter import MEMORY

__all__ = ["ConsumerAdapter", "ConsumerDenied", "ConsumerThrottled", "ThrottledConsumerMixin", "consumer"]

_ACCEPTED = "traffik.accepted"


class ConsumerThrottled(errors.Throttled, DenyConnection):
    """A refused WebSocket that is not accepted yet: Channels closes it, so that the server denies the handshake."""


class ConsumerDenied(errors.Throttled, StopConsumer):
    """The same on a server that can deny with a status: it is answered 429, and the consumer is done."""


class ThrottledConsumerMixin:
    """Stands before the consumer's base, ``class Chat(ThrottledConsumerMixin, AsyncWebsocketConsumer)``."""

    scope: Any
    base_send: Any
    _sync: bool

    def accept(self, *args: Any, **kwargs: Any) -> Any:
        """Accept the WebSocket, as ever; what the base answers may have to be awaited, as ever."""
        self.scope[_ACCEPTED] = True
        return super().accept(*args, **kwargs)  # type: ignore[misc]  # the consumer behind the mixin has it


class ConsumerAdapter:
    """For consumers of WebSockets, sync and async."""

    injects: type | None = None
    websocket = True

    def peer(self, connection: Any, /) -> str | None:
        client = connection.scope.get("client")
        return (client[0] or None) if client else None

    def headers(self, connection: Any, name: str, /) -> Sequence[str]:
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in connection.scope["headers"] if key == wanted]

    def method(self, connection: Any, /) -> str:
        return "GET"

    def path(self, connection: Any, /) -> str:
        path: str = connection.scope["path"]
        return path

    def app(self, connection: Any, /) -> object | None:
        return apps

    def subapps(self, app: object, /) -> Iterable[object]:
        return ()

    def memory(self, connection: Any, /) -> Memory:
        memory: Memory = connection.scope.setdefault(MEMORY, {})
        return memory

    def reject(self, connection: Any, rejection: Rejection, /) -> Awaitable[None] | None:
        if not isinstance(connection, ThrottledConsumerMixin) or _ACCEPTED in connection.scope:
            return _send(connection, json.dumps(rejection.message, separators=(",", ":")))
        if "websocket.http.response" not in connection.scope.get("extensions", {}):
            raise ConsumerThrottled(rejection)
        if connection._sync:
            for message in _answer(rejection):
                connection.base_send(message)
            raise ConsumerDenied(rejection)
        return _deny(connection, rejection)


async def _deny(connection: ThrottledConsumerMixin, rejection: Rejection) -> None:
    for message in _answer(rejection):
        await connection.base_send(message)
    raise ConsumerDenied(rejection)


def _answer(rejection: Rejection) -> tuple[dict[str, Any], dict[str, Any]]:
    """What denies a handshake with a status, where the server can."""
    body = json.dumps(rejection.body).encode()
    fields = [(name.lower().encode(), value.encode()) for name, value in rejection.headers]
    fields += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    start = {"type": "websocket.http.response.start", "status": rejection.status, "headers": fields}
    return start, {"type": "websocket.http.response.body", "body": body}


def _send(connection: Any, text: str) -> Awaitable[None] | None:
    """Send it; what an async consumer answers has to be awaited."""
    sending: Awaitable[None] | None = connection.send(text_data=text)
    return sending


consumer = ConsumerAdapter()
