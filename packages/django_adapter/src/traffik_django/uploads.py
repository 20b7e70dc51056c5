"""Uploads counted in bytes, by the throttles of ``TRAFFIK["UPLOADS"]``.

Under WSGI a view reads the body from the connection, and each read counts. Under ASGI Django receives the whole body
before any middleware runs. The application of `traffik_django.asgi` counts during that, or else the middleware later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from io import SEEK_END, BufferedReader, BytesIO, RawIOBase
from typing import Any, Final, cast

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase

from traffik.model.coroutines import run_sync
from traffik.model.costs import MAX_COST
from traffik.responses.rejections import Throttled
from traffik.throttles.uploads import STEP, Upload
from traffik_django import conf
from traffik_django.guards import is_async
from traffik_django.responses import Answer

__all__ = ["COUNTED", "UploadMiddleware", "answer_to", "upload_of"]

COUNTED: Final = "traffik.uploads"
"""The key of the decisions in the scope of a request whose body is counted while Django receives it."""
_UPLOAD: Final = "traffik.upload"
"""The key of META for the upload."""


class UploadMiddleware:
    """Charges the bytes of request bodies to the throttles of ``TRAFFIK["UPLOADS"]``.

    A body whose Content-Length is more than the quota left is refused before the view runs. Any other body is refused
    as soon as the quota is used up: the view's read raises `UnreadablePostError`, as it does when a client goes away,
    and the client gets the refusal instead of the view's response.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._async = is_async(get_response)
        if self._async:
            markcoroutinefunction(cast("Any", self))

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if COUNTED in getattr(request, "scope", ()):
            response: HttpResponseBase | Awaitable[HttpResponseBase] = self.get_response(request)
            return response
        if self._async:
            return self._call_async(request)
        upload = request.META[_UPLOAD] = upload_of(request, sync=True)
        try:
            run_sync(upload.announce())
            request._stream = BufferedReader(_Counted(request._stream, upload), STEP)
            response = self.get_response(request)
            if not isinstance(upload.refusal, Throttled):
                return response
        except Throttled as error:
            if error is not upload.refusal:
                raise
        finally:
            run_sync(upload.finish())
        return upload.answer or answer_to(upload).to(request)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        upload = upload_of(request)
        try:
            await upload.announce()
            size = _size(request)
            for start in range(0, size, MAX_COST):
                await upload.count(min(MAX_COST, size - start), last=True)
        except Throttled as error:
            if error is not upload.refusal:
                raise
            answer: HttpResponseBase = upload.answer or await answer_to(upload).to_async(request)
            return answer
        response: HttpResponseBase = await self.get_response(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """The answer to an upload that was refused while a view read it, so that Django reports no error."""
        upload: Upload | None = request.META.get(_UPLOAD)
        if upload is None or not isinstance(upload.refusal, Throttled):
            return None
        answer: HttpResponseBase = upload.answer or answer_to(upload).to(request)
        return answer


class _Counted(RawIOBase):
    """The stream of a body. It counts each read."""

    def __init__(self, stream: Any, upload: Upload) -> None:
        self._stream = stream
        self._upload = upload

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data: bytes = self._stream.read(len(buffer))
        try:
            run_sync(self._upload.count(len(data), last=not data))
        except Throttled as error:  # Django's readers of bodies expect no other exception
            raise UnreadablePostError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)


def upload_of(request: Any, *, sync: bool = False) -> Upload:
    """The upload of a request, for the throttles of the settings."""
    config = conf.current()
    return Upload(request, config.uploads, step=config.upload_step, response=HttpResponseBase, sync=sync)


def _size(request: HttpRequest) -> int:
    """The length of a body that has been received."""
    if not request._stream.seekable():  # of a test client
        request._stream = BytesIO(request._stream.read())
    size: int = request._stream.seek(0, SEEK_END)
    request._stream.seek(0)
    return size


def answer_to(upload: Upload) -> Answer:
    """The response to a refused upload."""
    return Answer(cast("Throttled", upload.refusal).rejection)
