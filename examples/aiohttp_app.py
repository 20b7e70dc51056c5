"""A small aiohttp service: a limit on all requests, a lower one by route, and a WebSocket with a limit on messages.

From the root of the repository:

    python -m aiohttp.web -H localhost -P 8000 examples.aiohttp_app:make_app
    curl -i localhost:8000/
"""

from __future__ import annotations

from aiohttp import web

from traffik import TokenBucket, is_throttled
from traffik.backends.inmemory import InMemoryBackend
from traffik_aiohttp import HTTPThrottle, WebSocketConnection, WebSocketThrottle, setup, throttled

everything = HTTPThrottle(uid="service", rate="20/s")
reports = HTTPThrottle(uid="service:reports", rate="3/10s", strategy=TokenBucket(burst=3))
messages = WebSocketThrottle(uid="service:messages", rate="60/min")


async def home(request: web.Request) -> web.Response:
    """Limited by the middleware, like all requests."""
    return web.Response(text="hello")


class Reports(web.View):
    """Reading a report is cheap, and making one is expensive."""

    async def get(self) -> web.Response:
        stat = await reports.stat(self.request)
        return web.json_response({"left": stat and stat.hits_remaining})

    @throttled(reports, cost=2)
    async def post(self) -> web.Response:
        return web.Response(text="made", status=201)


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Every message counts. A client that sends too many gets a message, and then the connection is closed."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    connection = WebSocketConnection(request, ws)
    async for message in ws:
        await messages.hit(connection)
        if is_throttled(connection):
            # The throttle has sent the message to the client.
            await connection.close_violation()
            break
        await ws.send_str(f"Echo: {message.data}")
    return ws


def make_app(argv: list[str] | None = None) -> web.Application:
    """The service, with a store that is open while it runs."""
    app = web.Application()
    app.router.add_get("/", home)
    app.router.add_view("/reports", Reports)
    app.router.add_get("/ws", echo)
    setup(app, everything, backend=InMemoryBackend())
    return app
