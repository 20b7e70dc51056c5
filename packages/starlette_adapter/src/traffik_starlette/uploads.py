"""Uploads counted in bytes while they are read, in front of a whole application: pure ASGI.

Add it with `app.add_middleware(UploadMiddleware, throttle)`.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from traffik.responses.rejections import Throttled
from traffik.throttles.guards import Throttles
from traffik.throttles.uploads import STEP, Upload, check_uploads
from traffik_starlette.answers import response_to

__all__ = ["UploadMiddleware"]


class UploadMiddleware:
    """Charges the bytes of request bodies to throttles while the application reads them.

    A body whose Content-Length is more than the quota left is refused before the application runs. Any other body is
    refused as soon as the quota is used up: the application's read raises `Throttled`, the client gets the refusal
    instead of the application's response, and the server closes the connection. (If the response has begun before, the
    connection is cut.) Bodies that the application does not read cost nothing.

    Args:
        app: the application inside.
        throttles: one or several HTTP throttles, whose rates are in bytes. Their own cost is not used.
        step: bytes after which the next charge is due, at least 1. Uploads at the same time can exceed the limit by at
            most one step each. The step is never more than a sixteenth of the limit.

    Raises:
        TypeError, ValueError: an argument is none of the above.
    """

    def __init__(self, app: ASGIApp, throttles: Throttles, *, step: int = STEP) -> None:
        self.app = app
        self._throttles = check_uploads(throttles, step)
        self._step = step

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        upload = Upload(Request(scope), self._throttles, step=self._step, response=Response)
        begun = False

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                await upload.count(len(message.get("body", b"")), last=not message.get("more_body", False))
            return message

        async def sender(message: Message) -> None:
            nonlocal begun
            if begun or upload.refusal is None:
                begun = True
                await send(message)

        try:
            await upload.announce()
            await self.app(scope, counted, sender)
        except Exception as error:
            if begun or not _is_it(upload.refusal, error):
                raise
        finally:
            await upload.finish()
        if upload.refusal is not None and not begun:
            await _answer(scope, upload.refusal, upload.answer)(scope, receive, send)


def _is_it(refusal: Exception | None, error: Exception) -> bool:
    """Whether an error is the refusal. Starlette's own middlewares may have put it into a group."""
    if isinstance(error, ExceptionGroup):
        return error.split(lambda each: each is refusal)[1] is None
    return error is refusal


def _answer(scope: Scope, refusal: Exception, answer: Response | None) -> Response:
    """The answer to a refused upload. The connection ends with it, since the rest of the body is not read."""
    if answer is None:
        if not isinstance(refusal, Throttled | HTTPException):
            raise refusal
        answer = response_to(Request(scope), refusal)
    if scope.get("http_version", "1.1").startswith("1"):  # HTTP/2 has no such field
        answer.headers["connection"] = "close"
    return answer
