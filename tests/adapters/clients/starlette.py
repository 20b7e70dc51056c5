"""Starlette, under uvicorn."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from tests.adapters.services import Framework, carry_out
from tests.servers import serve
from traffik import is_throttled
from traffik_starlette import Throttled, ThrottleMiddleware, UploadMiddleware, answer_throttled, throttled
from traffik_starlette.live import live_app


class StarletteClient(Framework):
    def body(self, detail, violated=None):
        return detail.encode()

    def serving(self, service):
        routes = [Mount("/in", Starlette(routes=[self.route(*each) for each in service.mounted.items()]))]
        routes += [self.route(path, calls, service.decorated.get(path)) for path, calls in service.routes.items()]
        routes += [self.route(path, calls, then=forbid) for path, calls in service.forbidden.items()]
        routes += [self.route(path, calls, then=stream) for path, calls in service.streams.items()]
        routes += [self.socket(*each) for each in service.sockets.items()]
        routes += [Route("/upload", uploading(service), methods=["POST"]), Route("/ignore", ignore, methods=["POST"])]
        routes += [Mount("/limits", live_app(service.live))] if service.live is not None else []
        middleware = [Middleware(ThrottleMiddleware, service.guards)]
        middleware += [Middleware(UploadMiddleware, service.uploads)] if service.uploads else []
        handlers = {Throttled: answer_throttled} if service.handled else {}
        options = {"middleware": middleware, "exception_handlers": handlers, "lifespan": service.backend.lifespan}
        app = Starlette(routes=routes, **options)
        return serve(app, proxy_headers=False)  # by default uvicorn reads them if the peer is 127.0.0.1

    def route(self, path, calls, throttles=None, then=JSONResponse):
        async def endpoint(request):
            return then(await carry_out(request, calls))

        return Route(path, throttled(*throttles)(endpoint) if throttles else endpoint)

    def socket(self, path, socket):
        return WebSocketRoute(path, endpoint_of(socket))


def uploading(service):
    async def upload(request):
        size = 0
        try:
            async for piece in request.stream():
                size += len(piece)
        finally:
            service.received.append(size)
        return JSONResponse(size)

    return upload


async def ignore(request):
    return JSONResponse(0)


def forbid(_):
    raise HTTPException(403)


def stream(_):
    return StreamingResponse(iter(["a", "b"]))


def endpoint_of(socket):
    async def endpoint(websocket):
        await carry_out(websocket, socket.door)
        await websocket.accept()
        async for text in websocket.iter_text():
            await carry_out(websocket, socket.message)
            if not is_throttled(websocket):
                await websocket.send_text(text)
            elif socket.closes:
                await websocket.close(code=1008)
                return

    return endpoint
