"""Responses to refused clients with more detail than Starlette's own: a problem, or a page for a browser."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from traffik.responses import rejections
from traffik_starlette.errors import WebSocketThrottled

__all__ = ["answer_throttled", "response_to"]


class _Close(Response):
    """Refuses a WebSocket on a server that cannot deny with a status."""

    def __init__(self, error: WebSocketThrottled) -> None:
        super().__init__()
        self._close = WebSocketClose(error.code, error.reason)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._close(scope, receive, send)


async def answer_throttled(connection: HTTPConnection, error: Exception) -> Response:
    """An exception handler for refusals that endpoints and dependencies raise.

    With ``app.add_exception_handler(Throttled, answer_throttled)`` they get the same response as refusals by the
    middleware. Without it they get the response of Starlette and FastAPI to every `HTTPException`.

    Raises:
        TypeError: the error is not a refusal.
    """
    if isinstance(error, WebSocketThrottled):
        return _Close(error)
    if not isinstance(error, rejections.Throttled):
        raise TypeError(f"answer_throttled is a handler for Throttled, not for {error!r}")
    return response_to(connection, error)


def response_to(connection: HTTPConnection, error: rejections.Throttled | HTTPException) -> Response:
    """The response for `error`."""
    if isinstance(error, rejections.Throttled):
        status, fields, body = error.rejection.reply(connection.headers.getlist("accept"))
        return Response(body, status, dict(fields))
    if error.status_code in {204, 304}:
        return Response(status_code=error.status_code, headers=error.headers)  # they have no body
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
