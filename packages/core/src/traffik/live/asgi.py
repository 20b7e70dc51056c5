"""The live page as a pure ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio

from traffik.live.messages import MOST_BYTES, LiveRequest, LiveResponse

if TYPE_CHECKING:
    from traffik.live.pages import LivePage

__all__ = ["page_app"]

_Scope: TypeAlias = MutableMapping[str, Any]
_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_App: TypeAlias = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


def page_app(page: LivePage, native: Callable[[_Scope], object]) -> _App:
    """An ASGI application that serves `page`. `native` makes the framework's own request for its `authorize`."""

    async def app(scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await send(dict(_CLOSE))
            return
        if _lacks_slash(scope):
            await _respond(_with_slash(scope), receive, send)
            return
        await _respond(await page.answer(await _translated(scope, receive, native(scope))), receive, send)

    return app


_CLOSE: Final = {"type": "websocket.close", "code": 1000}


async def _translated(scope: _Scope, receive: _Receive, native: object) -> LiveRequest:
    body, more = b"", True
    while more and len(body) <= MOST_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    secure = scope.get("scheme", "http") == "https"
    return LiveRequest(scope["method"], _path_below(scope), fields, body, secure, native)


def _path_below(scope: _Scope) -> str:
    """The path below the place where the application is mounted, which may be a part of the path or left out."""
    root, path = scope.get("root_path", ""), scope["path"]
    inside = path.removeprefix(root)
    found = path if inside[:1] not in {"", "/"} else inside
    return found.rstrip("/") or "/"  # Litestar adds a slash at the end


def _lacks_slash(scope: _Scope) -> bool:
    """Whether the page is asked for without the slash at the end, from which its links begin."""
    written: bytes = scope.get("raw_path") or b"/"
    return _path_below(scope) == "/" and not written.partition(b"?")[0].endswith(b"/")


def _with_slash(scope: _Scope) -> LiveResponse:
    name = scope["raw_path"].partition(b"?")[0].rpartition(b"/")[2].decode("latin-1")
    return LiveResponse.of(307, "text/plain", b"", ("Location", f"./{name}/"))


async def _respond(response: LiveResponse, receive: _Receive, send: _Send) -> None:
    fields = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": fields})
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
        await _send_parts(response.body, send)
        tasks.cancel_scope.cancel()


async def _send_parts(parts: AsyncIterator[bytes], send: _Send) -> None:
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: _Receive, scope: anyio.CancelScope) -> None:
    """Stop the stream when the client goes."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
