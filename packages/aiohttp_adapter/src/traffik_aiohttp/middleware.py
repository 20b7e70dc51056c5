"""Throttles in front of handlers, for all routes or by route, and headers on all responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from traffik.limits.defaults import fields_of
from traffik.throttles.guards import Throttles, each_of, hit_each, is_preflight
from traffik_aiohttp.adapter import http

__all__ = ["add_headers", "names_of", "throttling"]

_WRITTEN: Final = "traffik.headers"


def throttling(
    throttles: Throttles = (), routes: Mapping[str, Throttles] | None = None, *, count_preflights: bool = False
) -> Middleware:
    """A middleware that hits throttles before the handler runs.

    HTTP throttles are for every request, also for one that opens a WebSocket. WebSocket throttles are only for requests
    that open a WebSocket. A throttle that the request has hit already, in another middleware for example, is not hit
    again.

    Args:
        throttles: throttles for every request, also for one without a route.
        routes: throttles by route, hit after the others. A key is a route's name, its whole path as it was added
            (``"/items/{id}"``), or method and path (``"POST /items"``; GET includes HEAD).
        count_preflights: whether CORS preflights are counted. A browser sends them, and its user cannot avoid them.
    """
    everywhere = each_of(throttles)
    somewhere = {name: each_of(some) for name, some in (routes or {}).items()}
    sockets = any(throttle.websocket for some in (everywhere, *somewhere.values()) for throttle in some)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS and not count_preflights and is_preflight(request):
            return await handler(request)
        each = everywhere
        if somewhere:
            for name in names_of(request.match_info.route):
                each += somewhere.get(name, ())
        if sockets and not _opens(request):
            each = tuple(throttle for throttle in each if not throttle.websocket)
        await hit_each(each, request)
        return await handler(request)

    return middleware


async def add_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: write the RateLimit headers of all throttles that the request has hit.

    Errors and streams get them too. A rejection has its own.
    """
    memory = http.memory(request)
    if not memory:
        return
    shared = vars(request.writer)
    if shared.get(_WRITTEN) is response:  # a mounted application and the one around it both write headers
        return
    shared[_WRITTEN] = response
    written = () if response.status < 400 else {name.lower().encode() for name in response.headers}
    for name, value in fields_of(memory, written, status=response.status):
        response.headers.add(name.decode(), value.decode())


def names_of(route: web.AbstractRoute) -> tuple[str, ...]:
    """The names of a route; none for a path without a route."""
    resource = route.resource
    if resource is None:
        return ()
    path = resource.canonical
    # a limit for GET is for HEAD too, which runs the same handler
    method = hdrs.METH_GET if route.method == hdrs.METH_HEAD else route.method
    return (*(() if resource.name is None else (resource.name,)), path, f"{method} {path}")


def _opens(request: web.Request) -> bool:
    """Whether the request may open a WebSocket. aiohttp needs this header for it."""
    return "websocket" in request.headers.get(hdrs.UPGRADE, "").lower()
