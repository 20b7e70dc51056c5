"""FastAPI, under uvicorn."""

import json

from fastapi import FastAPI, Request
from starlette.routing import Route, WebSocketRoute

from tests.adapters.clients.starlette import endpoint_of, forbid, ignore, stream, uploading
from tests.adapters.services import Framework, carry_out
from tests.servers import serve
from traffik_starlette import Throttled, ThrottleMiddleware, UploadMiddleware, answer_throttled, throttled
from traffik_starlette.live import live_app


class FastAPIClient(Framework):
    def body(self, detail, violated=None):
        return json.dumps({"detail": detail}, separators=(",", ":")).encode()

    def serving(self, service):
        app, inner = FastAPI(lifespan=service.backend.lifespan), FastAPI()
        if service.uploads:
            app.add_middleware(UploadMiddleware, service.uploads)
        app.add_middleware(ThrottleMiddleware, service.guards)
        app.router.routes += [Route("/upload", uploading(service), methods=["POST"])]
        app.router.routes += [Route("/ignore", ignore, methods=["POST"])]
        if service.handled:
            app.add_exception_handler(Throttled, answer_throttled)
        app.mount("/in", inner)
        if service.live is not None:
            app.mount("/limits", live_app(service.live))
        for path, calls in service.routes.items():
            self.route(app, path, calls, service.decorated.get(path))
        for path, calls in service.mounted.items():
            self.route(inner, path, calls)
        for path, calls in service.forbidden.items():
            self.route(app, path, calls, then=forbid)
        for path, calls in service.streams.items():
            self.route(app, path, calls, then=stream)
        app.router.routes += [WebSocketRoute(path, endpoint_of(socket)) for path, socket in service.sockets.items()]
        return serve(app, proxy_headers=False)

    def route(self, app, path, calls, throttles=None, then=list):
        async def endpoint(request: Request):
            return then(await carry_out(request, calls))

        app.get(path)(throttled(*throttles)(endpoint) if throttles else endpoint)
