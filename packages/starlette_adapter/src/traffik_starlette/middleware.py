"""Throttles in front of a whole application, and headers on everything it answers: pure ASGI, no task, no exception.

app.add_middleware(ThrottleMiddleware, throttle)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from traffik.adapters import Memory
from traffik.rejections import Rejection, reject
from traffik.throttles import Throttle
from traffik_starlette.adapter import MEMORY

__all__ = ["ThrottleMiddleware"]


class ThrottleMiddleware:
    """Hits `throttles` before the application is called, and adds the RateLimit headers to every answer.

    HTTP throttles are for requests, WebSocket throttles for opening a WebSocket. Without throttles it only adds the
    headers of what throttles further in have decided.

    Args:
        app: the application inside.
        throttles: one or several, hit in this order; the first that refuses answers.
        headers: whether answers that are not refused get ``RateLimit`` and ``RateLimit-Policy``.
    """

    def __init__(
        self, app: ASGIApp, throttles: Throttle[Any] | Iterable[Throttle[Any]] = (), *, headers: bool = True
    ) -> None:
        self.app = app
        each = [throttles] if isinstance(throttles, Throttle) else list(throttles)
        self._http = [throttle for throttle in each if not throttle.websocket]
        self._websocket = [throttle for throttle in each if throttle.websocket]
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            memory: Memory = scope.setdefault(MEMORY, {})
            if self._http and await _refused(self._http, Request(scope, receive, send), scope, receive, send):
                return
            await self.app(scope, receive, _with_headers(send, memory) if self._headers else send)
        else:
            if kind == "websocket" and self._websocket:
                scope.setdefault(MEMORY, {})
                if await _refused(self._websocket, WebSocket(scope, receive, send), scope, receive, send):
                    return
            await self.app(scope, receive, send)


async def _refused(
    throttles: Sequence[Throttle[Any]],
    connection: Request | WebSocket,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> bool:
    """Hit `throttles` in order; whether one refused, and the client has been answered."""
    for throttle in throttles:
        decision = await throttle.decide(connection)
        if decision.allowed:
            continue
        if throttle.handler is None:
            await _answer(reject(decision, throttle.policies(decision)), scope, receive, send)
            return True
        try:
            await throttle.refuse(connection, decision)
        except HTTPException as error:
            response: Response = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
            await response(scope, receive, send)
            return True
    return False


async def _answer(rejection: Rejection, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a rejection as it is, without the detours of a response object."""
    body = json.dumps(rejection.body).encode()
    headers = [(name.lower().encode(), value.encode()) for name, value in rejection.headers]
    headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    prefix = ""
    if scope["type"] == "websocket":
        await receive()  # the client's "websocket.connect", which comes before any answer
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": rejection.detail})
            return
        prefix = "websocket."
    await send({"type": f"{prefix}http.response.start", "status": rejection.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": body})


def _with_headers(send: Send, memory: Memory) -> Send:
    """`send` that adds the fields of the decisions in `memory`, unless the answer is a rejection that has them."""

    async def sender(message: Message) -> None:
        if memory and message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if not any(name.lower() == b"ratelimit-policy" for name, _ in headers):
                message["headers"] = headers + _fields(memory)
        await send(message)

    return sender


def _fields(memory: Memory) -> list[tuple[bytes, bytes]]:
    policies, limits = [], []
    for throttle, decision in memory.items():
        if decision.rate is None:
            continue
        known = throttle.policies(decision)
        policies.append(known.field)
        if (limit := known.limit_field(decision)) is not None:
            limits.append(limit)
    fields = [(b"ratelimit-policy", policies), (b"ratelimit", limits)]
    return [(name, ", ".join(values).encode()) for name, values in fields if values]
