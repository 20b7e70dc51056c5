"""Uploads counted in bytes while a handler reads them: ``app.middlewares.append(count_uploads(throttle))``."""

from __future__ import annotations

from asyncio import IncompleteReadError
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.typedefs import Handler, Middleware

from traffik.throttles.guards import Throttles
from traffik.throttles.uploads import STEP, Upload, check_uploads

__all__ = ["count_uploads"]

_READS: Final = frozenset({"readany", "readchunk", "readline", "readuntil", "wait_eof"})
"""The methods of a stream that wait for bytes. (`read` and `readexactly` may wait for many, so they read in pieces.)"""


def count_uploads(throttles: Throttles, *, step: int = STEP) -> Middleware:
    """A middleware that charges the bytes of request bodies to throttles while the handler reads them.

    A body whose Content-Length is more than the quota left is refused before the handler runs. Any other body is
    refused as soon as the quota is used up: the handler's read raises `Throttled`, the client gets the refusal instead
    of the handler's answer, and the connection ends with it. Bodies that the handler does not read cost nothing.

    Args:
        throttles: one or several HTTP throttles, whose rates are in bytes. Their own cost is not used.
        step: bytes after which the next charge is due, at least 1. Uploads at the same time can exceed the limit by at
            most one step each. The step is never more than a sixteenth of the limit.

    Raises:
        TypeError, ValueError: an argument is none of the above.
    """
    each = check_uploads(throttles, step)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        upload = Upload(request, each, step=step)
        try:
            await upload.announce()
            if request.body_exists:
                # `request.content` keeps the stream that it was first asked for.
                request._payload = request._cache["content"] = cast("StreamReader", _Counted(request._payload, upload))
            response = await handler(request)
            if upload.refusal is None or response.prepared:
                return response
        except Exception as error:
            # An HTTP error is a response, which the refusal replaces. Any other error is one of the handler.
            if upload.refusal is None or not (error is upload.refusal or isinstance(error, web.HTTPException)):
                raise
        finally:
            await upload.finish()
        if isinstance(upload.refusal, web.HTTPException):
            upload.refusal.force_close()
        raise upload.refusal

    return middleware


class _Counted:
    """The stream of a body. It counts the bytes that have arrived each time the handler reads."""

    def __init__(self, stream: StreamReader, upload: Upload) -> None:
        self._stream = stream
        self._upload = upload
        self._seen = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        return self._counting(found) if name in _READS else found

    def _counting(self, read: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(*args: Any, **kwargs: Any) -> Any:
            data = await read(*args, **kwargs)
            arrived = self._stream.total_bytes
            size, self._seen = arrived - self._seen, arrived
            await self._upload.count(size, last=self._stream.is_eof())
            return data

        return counted

    async def read(self, n: int = -1) -> bytes:
        if n >= 0:
            return cast("bytes", await self._counting(self._stream.read)(n))
        return b"".join([block async for block in self.iter_any()])

    async def readexactly(self, n: int) -> bytes:
        data = bytearray()
        while len(data) < n:
            if not (block := await self.read(n - len(data))):
                raise IncompleteReadError(bytes(data), n)
            data += block
        return bytes(data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while line := await self.readline():
            yield line

    async def iter_any(self) -> AsyncIterator[bytes]:
        while block := await self.readany():
            yield block

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        while block := await self.read(n):
            yield block

    async def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        while (chunk := await self.readchunk()) != (b"", False):
            yield chunk
