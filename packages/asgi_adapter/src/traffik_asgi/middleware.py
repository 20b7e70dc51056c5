"""Throttles in front of a whole application, and headers on all its responses, in pure ASGI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from traffik.responses.rejections import Rejection, Reply, Throttled
from traffik.throttles import Throttle
from traffik.throttles.asgi import (
    WRITES,
    App,
    PreparedAnswer,
    Receive,
    Scope,
    Send,
    adding_fields,
    answering,
    can_deny,
    close_unopened,
    send_reply,
)
from traffik.throttles.guards import PreparedRejections, Throttles, each_of, hit_each, is_preflight
from traffik_asgi.adapter import http
from traffik_asgi.connections import APP, ROOT, ASGIRequest, ASGIWebSocket

__all__ = ["ThrottleMiddleware"]


class ThrottleMiddleware:
    """Hits `throttles` before the application is called, and adds the RateLimit headers to every response.

    HTTP throttles are for requests, WebSocket throttles for opening a WebSocket. Without throttles it only adds the
    headers of the throttles that were hit inside the application. It also answers a `Throttled` that leaves the
    application before its response has begun, or its WebSocket is accepted.

    Args:
        app: the application inside.
        throttles: one or several throttles, hit as one. The one with the longest wait rejects. A throttle that the
            connection has hit already, in another middleware for example, is not hit again. If the handler of a
            throttle returns a `traffik.responses.rejections.Reply`, it is sent.
        headers: whether responses that are not refusals get ``RateLimit`` and ``RateLimit-Policy``.
        count_preflights: whether CORS preflights are counted. A browser sends them, and its user cannot avoid them.

    Raises:
        TypeError: one of the throttles is none.
    """

    def __init__(
        self, app: App, throttles: Throttles = (), *, headers: bool = True, count_preflights: bool = False
    ) -> None:
        self.app = app
        each = each_of(throttles)
        self._http = [throttle for throttle in each if not throttle.websocket]
        self._websocket = [throttle for throttle in each if throttle.websocket]
        self._headers = headers
        self._count_preflights = count_preflights
        self._rejections: PreparedRejections[PreparedAnswer] = PreparedRejections(PreparedAnswer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault(APP, self.app)
        scope.setdefault(ROOT, scope.get("root_path", ""))
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._open(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = ASGIRequest(scope)
        counted = self._http if self._count_preflights or not is_preflight(request) else ()
        if await self._refuses(counted, request, receive, send):
            return
        # Only the outermost middleware writes the headers, since it sees all decisions.
        if self._headers and not scope.get(WRITES):
            scope[WRITES] = True
            send = adding_fields(send, http.memory(request))
        await answering(self.app, scope, receive, send, lambda error: _answer(error.rejection, scope, receive, send))

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = ASGIWebSocket(scope, receive, send)
        if await self._refuses(self._websocket, websocket, receive, send):
            return
        try:
            await self.app(scope, websocket.receive, websocket.send)
        except Throttled as error:
            if websocket.accepted:
                raise
            await _answer(error.rejection, scope, receive, send)

    async def _refuses(
        self, throttles: Sequence[Throttle[Any]], connection: ASGIRequest, receive: Receive, send: Send
    ) -> bool:
        """Hit `throttles`. Returns whether one of them refused and the answer was sent."""
        if not throttles:
            return False
        scope = connection.scope
        answer: Any = await hit_each(throttles, connection, response=Reply, respond=self._rejections)
        if answer is None:
            return False
        if scope["type"] == "websocket" and not can_deny(scope):
            await close_unopened(send)
        elif isinstance(answer, Reply):
            await send_reply(answer, scope, send)
        else:
            await answer(scope, receive, send)
        return True


async def _answer(rejection: Rejection, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a refusal by the application."""
    if scope["type"] == "websocket" and not can_deny(scope):
        await close_unopened(send)
    else:
        await PreparedAnswer(rejection)(scope, receive, send)
