"""The adapter for aiohttp: it reads plain data from a connection's request, and rejects connections."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from aiohttp import web
from anyio import move_on_after

from traffik.adapters import Memory
from traffik.responses.rejections import Rejection
from traffik.throttles.placement import report_misplaced
from traffik_aiohttp.errors import ThrottledTooLate, error_for
from traffik_aiohttp.websocket import REASON, WebSocketConnection

__all__ = ["MEMORY", "HTTPAdapter", "WebSocketAdapter", "http", "websocket"]

MEMORY: Final = "traffik.model.decisions"
"""The name under which the decisions about a request are kept."""

_ADVICE: Final = (
    "give a store, such as backend = InMemoryBackend(), to the application "
    "(traffik_aiohttp.setup(app, backend=backend)) or to the throttle (backend=backend)"
)

_PATIENCE: Final = 15
"""Seconds for a client to confirm a close. (aiohttp itself waits ten, but only once it could send the close.)"""


class HTTPAdapter:
    """For `aiohttp.web.Request`, and for the `BaseRequest` of a server without an application."""

    injects: type | None = None
    websocket = False
    store_advice = _ADVICE

    def peer(self, connection: web.BaseRequest, /) -> str | None:
        return connection.remote or None

    def headers(self, connection: web.BaseRequest, name: str, /) -> Sequence[str]:
        return connection.headers.getall(name, ())

    def method(self, connection: web.BaseRequest, /) -> str:
        return connection.method

    def path(self, connection: web.BaseRequest, /) -> str:
        # aiohttp's routes do not decode %2F, and its static files do. Rules consider both (`rules.paths.readings`).
        return connection.rel_url.path_safe.replace("%25", "%")

    def route(self, connection: web.BaseRequest, /) -> str | None:
        match_info: web.UrlMappingMatchInfo | None = getattr(connection, "_match_info", None)
        resource = None if match_info is None else match_info.route.resource
        return None if resource is None else resource.canonical

    def app(self, connection: web.BaseRequest, /) -> object | None:
        # `request.app` asserts that the request has been routed, which may not be the case
        match_info: Any = getattr(connection, "_match_info", None)
        return None if match_info is None else match_info.current_app

    def subapps(self, app: Any, /) -> Iterable[object]:
        if isinstance(app, web.Application):
            for resource in app.router.resources():
                if (mounted := resource.get_info().get("app")) is not None:
                    yield mounted

    def check(self, app: Any, /) -> None:
        if isinstance(app, web.Application):
            report_misplaced(route.handler for route in app.router.routes())

    def memory(self, connection: web.BaseRequest, /) -> Memory:
        # A clone of the request copies its state. Only the writer of the response is the same object.
        shared = vars(connection.writer)
        memory: Memory | None = shared.get(MEMORY)
        if memory is None:
            memory = shared[MEMORY] = {}
        return memory

    def reject(self, connection: Any, rejection: Rejection, /) -> Awaitable[None] | None:
        sent = connection.writer.output_size
        if isinstance(sent, int) and sent > 0:  # no number in the mocked requests of aiohttp.test_utils
            raise ThrottledTooLate(rejection)
        raise error_for(rejection, self.headers(connection, "accept"))


class WebSocketAdapter:
    """For the pair of a request and its WebSocket."""

    injects: type | None = None
    websocket = True
    store_advice = _ADVICE

    def peer(self, connection: WebSocketConnection, /) -> str | None:
        return http.peer(connection.request)

    def headers(self, connection: WebSocketConnection, name: str, /) -> Sequence[str]:
        return http.headers(connection.request, name)

    def method(self, connection: WebSocketConnection, /) -> str:
        return http.method(connection.request)

    def path(self, connection: WebSocketConnection, /) -> str:
        return http.path(connection.request)

    def route(self, connection: WebSocketConnection, /) -> str | None:
        return http.route(connection.request)

    def app(self, connection: WebSocketConnection, /) -> object | None:
        return http.app(connection.request)

    def subapps(self, app: Any, /) -> Iterable[object]:
        return ()  # the HTTP adapter lists them

    def memory(self, connection: WebSocketConnection, /) -> Memory:
        return http.memory(connection.request)

    def accepted(self, connection: WebSocketConnection, /) -> bool:
        return connection.response.prepared

    def pause(self, connection: WebSocketConnection, sleep: Callable[[], Awaitable[None]], /) -> Awaitable[None] | None:
        return None if connection.response.closed else sleep()

    def close(self, connection: WebSocketConnection, rejection: Rejection, code: int, /) -> Awaitable[None] | None:
        return None if connection.response.closed else _close(connection, code)

    def reject(self, connection: WebSocketConnection, rejection: Rejection, /) -> Awaitable[None] | None:
        if not connection.response.prepared:
            raise error_for(rejection, self.headers(connection, "accept"))
        return _notify(connection.response, rejection)


async def _notify(response: web.WebSocketResponse, rejection: Rejection) -> None:
    """Send the message. If the client has gone, the next `receive` reports it, as without a throttle."""
    with suppress(ConnectionError):
        # written as Starlette does, so that clients of both get the same bytes
        await response.send_str(json.dumps(rejection.message, separators=(",", ":")))


async def _close(connection: WebSocketConnection, code: int) -> None:
    """Close it, so that `receive` and a loop over it end. If the client has stopped reading, cut the connection."""
    with move_on_after(_PATIENCE) as closing:
        await connection.response.close(code=code, message=REASON)
    if closing.cancelled_caught and (transport := connection.request.transport) is not None:
        transport.abort()


http: Final = HTTPAdapter()
websocket: Final = WebSocketAdapter()
