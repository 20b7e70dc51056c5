"""Applications of Litestar and Quart with throttles, for a server in another process."""

from __future__ import annotations

from litestar import Litestar, WebSocket, get, websocket
from quart import Quart, has_websocket_context, request
from quart import websocket as socket_of_quart

from traffik import FloodPolicy, Throttled, is_throttled
from traffik.backends.inmemory import InMemoryBackend
from traffik_asgi import ASGIWebSocket, HTTPThrottle, ThrottleMiddleware, WebSocketThrottle, reply_to

store = InMemoryBackend()
around = [HTTPThrottle("requests", "1/min"), WebSocketThrottle("sockets", "1/min")]
messages = WebSocketThrottle("messages", "1/min", floods=FloodPolicy(close_after=1))
inside = WebSocketThrottle("inside", "0/min")


async def echo(scope, receive, send):
    while True:
        text = await receive()
        await messages.hit(ASGIWebSocket(scope))
        if not is_throttled(ASGIWebSocket(scope)):
            await send(text)


@get("/")
async def hello() -> str:
    return "hello"


@websocket("/echo")
async def echo_by_litestar(socket: WebSocket) -> None:
    await socket.accept()
    await echo(socket.scope, socket.receive_text, socket.send_text)


@websocket("/inside")
async def refuse_in_litestar(socket: WebSocket) -> None:
    await inside.hit(ASGIWebSocket(socket.scope))


app_of_litestar = Litestar([hello, echo_by_litestar, refuse_in_litestar], openapi_config=None)
quart = Quart(__name__)


@quart.errorhandler(Throttled)
async def refuse(error):
    scope = (socket_of_quart if has_websocket_context() else request).scope
    status, fields, body = reply_to(scope, error)
    return body, status, dict(fields)


@quart.get("/")
async def hello_by_quart():
    return "hello"


@quart.websocket("/echo")
async def echo_by_quart():
    await socket_of_quart.accept()
    await echo(socket_of_quart.scope, socket_of_quart.receive, socket_of_quart.send)


@quart.websocket("/inside")
async def refuse_in_quart():
    await inside.hit(ASGIWebSocket(socket_of_quart.scope))


def sockets_inside(app):
    """`app` with throttles around it, except for a WebSocket that is throttled inside."""
    throttled, bare = ThrottleMiddleware(app, around), ThrottleMiddleware(app)

    async def choose(scope, receive, send):
        await (bare if scope.get("path") == "/inside" else throttled)(scope, receive, send)

    return choose


litestar_app = sockets_inside(app_of_litestar)
quart_app = sockets_inside(quart)
