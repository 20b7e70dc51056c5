"""The adapter for Starlette: it reads plain data from a connection's scope, and rejects connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from starlette.requests import HTTPConnection
from starlette.routing import Host, Mount
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from traffik.adapters import Memory
from traffik.limits.floods import REASON
from traffik.model.descriptions import describe
from traffik.responses.rejections import Rejection
from traffik.throttles.asgi import MEMORY, can_deny
from traffik_starlette.checks import check_middleware, check_routes
from traffik_starlette.errors import Throttled, WebSocketThrottled
from traffik_starlette.routing import path_of, route_of

__all__ = ["HTTPAdapter", "WebSocketAdapter", "http", "websocket"]

_GONE: Final = "traffik.gone"


class HTTPAdapter:
    """For `starlette.requests.Request`, which is FastAPI's too, and for a bare `HTTPConnection`."""

    # Not Request: a dependency of a whole application is called for WebSockets too.
    injects: type | None = HTTPConnection
    websocket = False
    store_advice = (
        "give a store, such as backend = InMemoryBackend(), to the application (lifespan=backend.lifespan) and start "
        "the application (in tests: with TestClient(app) as client:), or give it to the throttle (backend=backend)"
    )

    def peer(self, connection: HTTPConnection, /) -> str | None:
        client = connection.scope.get("client")
        return (client[0] or None) if client else None

    def headers(self, connection: HTTPConnection, name: str, /) -> Sequence[str]:
        wanted = name.encode("latin-1")
        return [value.decode("latin-1") for key, value in connection.scope.get("headers", ()) if key == wanted]

    def method(self, connection: HTTPConnection, /) -> str:
        method: str = connection.scope.get("method", "GET")
        return method

    def path(self, connection: HTTPConnection, /) -> str:
        return path_of(connection.scope)

    def route(self, connection: HTTPConnection, /) -> str | None:
        return route_of(connection.scope)

    def app(self, connection: HTTPConnection, /) -> object | None:
        return connection.scope.get("app")

    def subapps(self, app: Any, /) -> Iterable[object]:
        for route in getattr(app, "routes", None) or ():
            if isinstance(route, Mount | Host):
                # If the mount has its own middleware, `app` is the outermost one and `_base_app` the mounted app.
                yield getattr(route, "_base_app", route.app)

    def check(self, app: Any, /) -> None:
        check_middleware(app)
        check_routes(app)

    def memory(self, connection: HTTPConnection, /) -> Memory:
        scope = connection.scope
        memory: Memory | None = scope.get(MEMORY)
        if memory is None:
            memory = scope[MEMORY] = {}
        return memory

    def reject(self, connection: HTTPConnection, rejection: Rejection, /) -> Awaitable[None] | None:
        raise Throttled(rejection)


class WebSocketAdapter(HTTPAdapter):
    """For `starlette.websockets.WebSocket`, which is FastAPI's too."""

    injects: type | None = WebSocket
    websocket = True

    def accepted(self, connection: WebSocket, /) -> bool:
        return connection.application_state is not WebSocketState.CONNECTING

    def pause(self, connection: WebSocket, sleep: Callable[[], Awaitable[None]], /) -> Awaitable[None] | None:
        return sleep() if _is_open(connection) else None

    def close(self, connection: WebSocket, rejection: Rejection, code: int, /) -> Awaitable[None] | None:
        if _is_open(connection):
            _close(connection, rejection, code)
        return None

    def reject(self, connection: HTTPConnection, rejection: Rejection, /) -> Awaitable[None] | None:
        if not isinstance(connection, WebSocket):
            raise TypeError(f"this is the adapter of WebSockets, not of {describe(connection)}")
        if self.accepted(connection):
            return _notify(connection, rejection)
        if can_deny(connection.scope):
            raise Throttled(rejection)
        raise WebSocketThrottled(rejection)


def _is_open(connection: WebSocket) -> bool:
    """Whether the program has accepted it and not closed it, and no message to its client has failed."""
    return connection.application_state is WebSocketState.CONNECTED and _GONE not in connection.scope


async def _notify(connection: WebSocket, rejection: Rejection) -> None:
    """Send the message. If the client has gone, the next `receive` reports it, as without a throttle."""
    if _is_open(connection):
        try:
            await connection.send_json(rejection.message)
        except WebSocketDisconnect:
            connection.scope[_GONE] = True
            # or else the next `receive` would raise, as if the program had never accepted
            connection.application_state = WebSocketState.CONNECTED


def _close(connection: WebSocket, rejection: Rejection, code: int) -> NoReturn:
    """Let Starlette close it and end the endpoint. It is no error if the client has gone."""
    send = connection._send

    async def send_if_it_is_there(message: Message) -> None:
        with suppress(OSError):
            await send(message)

    connection._send = send_if_it_is_there
    raise WebSocketThrottled(rejection, code, REASON)


http: Final = HTTPAdapter()
websocket: Final = WebSocketAdapter()
