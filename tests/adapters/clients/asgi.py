"""Serves a service as a plain ASGI application, by uvicorn."""

import json
from contextlib import contextmanager

from tests.adapters.services import Framework, carry_out
from tests.servers import serve
from traffik import is_throttled
from traffik.backends.binding import bound
from traffik_asgi import ASGIRequest, ASGIWebSocket, ThrottleMiddleware
from traffik_asgi.live import live_app


class ASGIClient(Framework):
    answers = uploads = routes = False

    @contextmanager
    def serving(self, service):
        app = Application(service)
        with (
            service.backend as store,
            bound(store, app, ()),
            serve(ThrottleMiddleware(app, service.guards), proxy_headers=False) as address,
        ):
            yield address


class Application:
    """Routes with calls, throttled by middlewares around single routes too."""

    def __init__(self, service):
        mounted = {f"/in{path}": calls for path, calls in service.mounted.items()}
        self.sockets = {path: socket_of(socket) for path, socket in service.sockets.items()}
        self.live = None if service.live is None else live_app(service.live)
        self.routes = {
            path: ThrottleMiddleware(endpoint_of(calls), service.decorated.get(path, ()))
            for path, calls in {**service.routes, **mounted}.items()
        }

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        if self.live is not None and scope["path"].startswith("/limits"):
            await self.live({**scope, "root_path": "/limits"}, receive, send)
            return
        routes = self.sockets if scope["type"] == "websocket" else self.routes
        await routes.get(scope["path"], nothing)(scope, receive, send)


async def nothing(scope, receive, send):
    await respond(send, b"", 404)


def endpoint_of(calls):
    async def endpoint(scope, receive, send):
        await respond(send, json.dumps(await carry_out(ASGIRequest(scope), calls)).encode())

    return endpoint


def socket_of(socket):
    async def endpoint(scope, receive, send):
        websocket = ASGIWebSocket(scope)
        await receive()
        await carry_out(websocket, socket.door)
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await carry_out(websocket, socket.message)
            if not is_throttled(websocket):
                await send({"type": "websocket.send", "text": message["text"]})
            elif socket.closes:
                await send({"type": "websocket.close", "code": 1008})
                return

    return endpoint


async def respond(send, body, status=200):
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
