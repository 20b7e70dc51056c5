"""The adapter for ASGI: it reads plain data from a connection's scope, and rejects connections."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from traffik.adapters import Memory
from traffik.limits.floods import REASON
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.responses.rejections import Rejection, Throttled
from traffik.throttles.asgi import MEMORY
from traffik_asgi.connections import APP, ROOT, ASGIRequest, ASGIWebSocket

__all__ = ["HTTPAdapter", "WebSocketAdapter", "http", "websocket"]


class HTTPAdapter:
    """For `ASGIRequest`."""

    injects: type | None = None
    websocket = False
    store_advice = "give a store, such as backend = InMemoryBackend(), to the throttle (backend=backend)"

    def peer(self, connection: ASGIRequest, /) -> str | None:
        client = connection.scope.get("client")
        return (client[0] or None) if client else None

    def headers(self, connection: ASGIRequest, name: str, /) -> Sequence[str]:
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in connection.scope.get("headers", ()) if key == wanted]

    def method(self, connection: ASGIRequest, /) -> str:
        return connection.method

    def path(self, connection: ASGIRequest, /) -> str:
        scope = connection.scope
        mounted, path = scope.get("root_path", ""), scope["path"]
        # Servers and frameworks write the place of a mounted application into the path, or leave it out.
        whole = path if _is_below(path, mounted) else mounted + path
        server = scope.get(ROOT, "")
        return (whole.removeprefix(server) or "/") if _is_below(whole, server) else whole

    def route(self, connection: ASGIRequest, /) -> NoReturn:
        raise ConfigurationError(
            "ASGI does not tell which route matches a request; name paths in the rule, as in Rule('/items/*'), or hit "
            "the throttle in the endpoint"
        )

    def app(self, connection: ASGIRequest, /) -> object | None:
        return connection.scope.get(APP)

    def subapps(self, app: Any, /) -> Iterable[object]:
        return ()

    def memory(self, connection: ASGIRequest, /) -> Memory:
        scope = connection.scope
        memory: Memory | None = scope.get(MEMORY)
        if memory is None:
            memory = scope[MEMORY] = {}
        return memory

    def reject(self, connection: ASGIRequest, rejection: Rejection, /) -> Awaitable[None] | None:
        raise Throttled(rejection)


class WebSocketAdapter(HTTPAdapter):
    """For `ASGIWebSocket`."""

    websocket = True

    def accepted(self, connection: ASGIWebSocket, /) -> bool:
        return connection.accepted

    def pause(self, connection: ASGIWebSocket, sleep: Callable[[], Awaitable[None]], /) -> Awaitable[None] | None:
        return sleep() if connection.is_open else None

    def close(self, connection: ASGIWebSocket, rejection: Rejection, code: int, /) -> Awaitable[None] | None:
        return connection.close(code, REASON)

    def reject(self, connection: ASGIRequest, rejection: Rejection, /) -> Awaitable[None] | None:
        if not isinstance(connection, ASGIWebSocket):
            raise TypeError(f"this is the adapter of WebSockets, not of {describe(connection)}")
        if not connection.accepted:
            raise Throttled(rejection)
        return _notify(connection, rejection) if connection.is_open else None


async def _notify(connection: ASGIWebSocket, rejection: Rejection) -> None:
    """Send the message. If the client has gone, the next `receive` tells it, as without a throttle."""
    with suppress(OSError):
        await connection.send({"type": "websocket.send", "text": json.dumps(rejection.message, separators=(",", ":"))})


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in {"", "/"}


http: Final = HTTPAdapter()
websocket: Final = WebSocketAdapter()
