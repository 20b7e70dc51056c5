"""The live page as a pure ASGI application, to mount: ``app.mount("/limits", live_app(page))``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from traffik.live.messages import MOST_BYTES, LiveRequest, LiveResponse
from traffik.live.pages import LivePage

__all__ = ["live_app"]

_CLOSE: Final = {"type": "websocket.close", "code": 1000}


def live_app(page: LivePage) -> ASGIApp:
    """An ASGI application that serves `page`; its `authorize` gets Starlette's request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send(_CLOSE)
            return
        request = Request(scope, receive)
        await _send(await page.answer(await _translated(request)), receive, send)

    return app


async def _translated(request: Request) -> LiveRequest:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            break
    path = get_route_path(request.scope) or "/"
    return LiveRequest(request.method, path, dict(request.headers), body, request.url.scheme == "https", request)


async def _send(response: LiveResponse, receive: Receive, send: Send) -> None:
    fields = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": fields})
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
        await _send_parts(response.body, send)
        tasks.cancel_scope.cancel()


async def _send_parts(parts: AsyncIterator[bytes], send: Send) -> None:
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Stop the stream when the client goes."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
