"""The live page as an application, to mount: ``app.add_subapp("/limits", live_subapp(page))``."""

from __future__ import annotations

from aiohttp import web

from traffik.live.messages import MOST_BYTES, LiveRequest
from traffik.live.pages import LivePage

__all__ = ["live_subapp"]


def live_subapp(page: LivePage) -> web.Application:
    """An application that serves `page`; its `authorize` gets aiohttp's request."""

    async def show(request: web.Request) -> web.StreamResponse:
        response = await page.answer(await _translated(request))
        sent = web.StreamResponse(status=response.status)
        for name, value in response.headers:
            sent.headers.add(name, value)
        if isinstance(response.body, bytes):
            sent.content_length = len(response.body)
        await sent.prepare(request)
        if isinstance(response.body, bytes):
            await sent.write(response.body)
        else:
            async for part in response.body:
                await sent.write(part)
        await sent.write_eof()
        return sent

    async def add_slash(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{request.path.rpartition('/')[2]}/")

    app = web.Application()
    app.router.add_get("", add_slash)
    app.router.add_route("*", "/{path:.*}", show)
    return app


async def _translated(request: web.Request) -> LiveRequest:
    body = b""
    while len(body) <= MOST_BYTES and (part := await request.content.readany()):
        body += part
    headers = {name.lower(): value for name, value in request.headers.items()}
    path = f"/{request.match_info['path']}"
    return LiveRequest(request.method, path, headers, body, request.secure, request)
