"""Throttles in front of a whole application, and headers on all its responses, in pure ASGI.

Add it with `app.add_middleware(ThrottleMiddleware, throttle)`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from traffik.adapters import Memory, check_app
from traffik.model.errors import ConfigurationError
from traffik.notices import misconfiguration
from traffik.responses.rejections import Throttled
from traffik.throttles import Throttle
from traffik.throttles.asgi import MEMORY, WRITES, PreparedAnswer, adding_fields, answering, can_deny, close_unopened
from traffik.throttles.guards import PreparedRejections, Throttles, each_of, hit_each, is_preflight
from traffik_starlette.answers import answer_throttled, response_to
from traffik_starlette.routing import APP

__all__ = ["ThrottleMiddleware"]


class ThrottleMiddleware:
    """Hits `throttles` before the application is called, and adds the RateLimit headers to every response.

    HTTP throttles are for requests, WebSocket throttles for opening a WebSocket. Without throttles it only adds the
    headers of the throttles that were hit inside the application. It also answers a hit that is refused in a middleware
    inside it, from where Starlette would make a 500 of the exception.

    Args:
        app: the application inside.
        throttles: one or several throttles, hit as one. The one with the longest wait rejects. A throttle that the
            request has hit already, in another middleware for example, is not hit again.
        headers: whether responses that are not refusals get ``RateLimit`` and ``RateLimit-Policy``.
        count_preflights: whether CORS preflights are counted. A browser sends them, and its user cannot avoid them.
    """

    def __init__(
        self, app: ASGIApp, throttles: Throttles = (), *, headers: bool = True, count_preflights: bool = False
    ) -> None:
        self.app = app
        self._count_preflights = count_preflights
        each = each_of(throttles)
        self._http = [throttle for throttle in each if not throttle.websocket]
        self._websocket = [throttle for throttle in each if throttle.websocket]
        self._plain = all(throttle.plain for throttle in each)
        self._headers = headers
        self._rejections = PreparedRejections(PreparedAnswer)
        if each and _has_cors_inside(app):
            misconfiguration.refusals_without_cors(type(self).__name__, CORSMiddleware.__name__)

    @classmethod
    def check_order(cls, arguments: Sequence[object], options: Mapping[str, object], inside: Sequence[object]) -> None:
        """Warn if a middleware with these arguments would refuse outside of the middleware for CORS.

        Args:
            arguments: those after the application.
            options: those by name.
            inside: the classes of the middlewares inside.
        """
        if (arguments or options.get("throttles")) and CORSMiddleware in inside:
            misconfiguration.refusals_without_cors(cls.__name__, CORSMiddleware.__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "app" not in scope:  # the middleware is outside of the application
            scope[APP] = self.app
            if root_path := getattr(self.app, "root_path", ""):
                scope["root_path"] = root_path  # as FastAPI itself does when it runs
        if scope["type"] == "lifespan":
            if await _can_start(scope.get("app", self.app), receive, send):
                await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            if await self._admits(scope, receive, send):
                await self._run(scope, receive, send)
            return
        memory: Memory = scope.setdefault(MEMORY, {})
        if self._http and (scope["method"] != "OPTIONS" or self._counts(scope)):
            # A full request is only made if something reads it, such as a rule that was added later.
            plain = self._plain
            for throttle in self._http:
                if throttle.rules is not None:
                    plain = False
            tape = None if plain else _Tape(receive)
            request = HTTPConnection(scope) if tape is None else Request(scope, tape.record, send)
            if await self._refuses(self._http, request, receive, send):
                return
            if tape is not None and tape.messages:
                receive = tape.replay
        # Only the outermost middleware writes the headers, since it sees all decisions.
        if self._headers and not scope.get(WRITES):
            scope[WRITES] = True
            send = adding_fields(send, memory)
        await self._run(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and answer a hit that was refused in one of its middlewares."""

        async def answer(error: Throttled) -> None:
            await (await answer_throttled(HTTPConnection(scope), error))(scope, receive, send)

        await answering(self.app, scope, receive, send, answer)

    async def _admits(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether a WebSocket may open. If not, the answer has been sent."""
        if scope["type"] != "websocket" or not self._websocket:
            return True
        websocket = WebSocket(scope, receive, send)
        return not await self._refuses(self._websocket, websocket, receive, send)

    def _counts(self, scope: Scope) -> bool:
        return self._count_preflights or not is_preflight(HTTPConnection(scope))

    async def _refuses(
        self, throttles: Iterable[Throttle[Any]], connection: HTTPConnection, receive: Receive, send: Send
    ) -> bool:
        """Hit `throttles`. Returns whether one of them refused and the answer was sent."""
        scope = connection.scope
        try:
            answer: Any = await hit_each(throttles, connection, response=Response, respond=self._rejections)
        except HTTPException as error:  # raised by a function of the throttle: treated as if a route had raised it
            answer = response_to(connection, error)
        except WebSocketException as error:
            if scope["type"] != "websocket":
                raise
            await close_unopened(send, error.code, error.reason)
            return True
        if answer is None:
            return False
        # Only some servers can deny a WebSocket with a status.
        closes = scope["type"] == "websocket" and not can_deny(scope)
        await (close_unopened(send) if closes else answer(scope, receive, send))
        return True


class _Tape:
    """Records the body that functions of throttles read, so that the application can read it again."""

    __slots__ = ("_receive", "messages")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.messages: deque[Message] = deque()

    async def record(self) -> Message:
        message = await self._receive()
        self.messages.append(message)
        return message

    async def replay(self) -> Message:
        return self.messages.popleft() if self.messages else await self._receive()


def _has_cors_inside(app: Any) -> bool:
    """Whether one of the middlewares in `app` is Starlette's `CORSMiddleware`."""
    while app is not None:
        added = [each.cls for each in getattr(app, "user_middleware", ())]
        if any(isinstance(cls, type) and issubclass(cls, CORSMiddleware) for cls in (type(app), *added)):
            return True
        app = getattr(app, "app", None)
    return False


async def _can_start(app: object, receive: Receive, send: Send) -> bool:
    """Whether the checks of `app` pass. If not, the error is sent to the server."""
    try:
        check_app(app)
    except ConfigurationError as error:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return False
    return True
