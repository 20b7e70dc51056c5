"""Starlette, under uvicorn."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from tests.adapters.services import Framework, carry_out, parts
from tests.servers import serve
from traffik import is_throttled
from traffik_starlette import Throttled, ThrottleMiddleware, answer_throttled


class StarletteClient(Framework):
    def body(self, detail, violated=None):
        return detail.encode()

    def serving(self, service):
        routes = [Mount("/in", Starlette(routes=[self.route(*each) for each in service.mounted.items()]))]
        routes += [self.route(*each) for each in service.routes.items()]
        routes += [self.socket(*each) for each in service.sockets.items()]
        middleware = [Middleware(ThrottleMiddleware, service.guards)]
        handlers = {Throttled: answer_throttled} if service.handled else {}
        options = {"middleware": middleware, "exception_handlers": handlers, "lifespan": service.backend.lifespan}
        app = Starlette(routes=routes, **options)
        return serve(app, proxy_headers=False)  # uvicorn believes them from its own machine

    def route(self, path, calls):
        async def endpoint(request):
            return answer_of(path, await carry_out(request, calls))

        return Route(path, endpoint)

    def socket(self, path, socket):
        return WebSocketRoute(path, endpoint_of(socket))


def answer_of(path, answers):
    if not path.startswith("/stream"):
        return JSONResponse(answers)

    async def stream():
        for part in parts(answers):
            yield part

    return StreamingResponse(stream(), media_type="application/json")


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
