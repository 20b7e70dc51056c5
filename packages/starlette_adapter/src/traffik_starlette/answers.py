"""What a refused client is answered where Starlette would say less: a problem, or a page for a browser."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from traffik import errors
from traffik_starlette.errors import WebSocketThrottled

__all__ = ["answer_throttled", "response_to"]


async def answer_throttled(connection: HTTPConnection, error: Exception) -> Response | None:
    """A handler for refusals that endpoints and dependencies raise.

    ``app.add_exception_handler(Throttled, answer_throttled)`` has them answered as the middleware answers its own;
    without it they are answered as Starlette and FastAPI answer every `HTTPException`.

    Raises:
        TypeError: the error is no refusal.
    """
    if isinstance(error, WebSocketThrottled) and isinstance(connection, WebSocket):
        await connection.close(error.code, error.reason)
        return None
    if not isinstance(error, errors.Throttled):
        raise TypeError(f"answer_throttled is a handler for Throttled, not for {error!r}")
    return response_to(connection, error)


def response_to(connection: HTTPConnection, error: errors.Throttled | HTTPException) -> Response:
    """The response that says what `error` says."""
    if isinstance(error, errors.Throttled):
        status, fields, body = error.rejection.reply(connection.headers.getlist("accept"))
        return Response(body, status, dict(fields))
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
