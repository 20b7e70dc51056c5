"""FastAPI, under uvicorn."""

import json

from fastapi import FastAPI, Request
from starlette.routing import WebSocketRoute

from tests.adapters.clients.starlette import answer_of, endpoint_of
from tests.adapters.services import Framework, carry_out
from tests.servers import serve
from traffik_starlette import Throttled, ThrottleMiddleware, answer_throttled


class FastAPIClient(Framework):
    def body(self, detail, violated=None):
        return json.dumps({"detail": detail}, separators=(",", ":")).encode()

    def serving(self, service):
        app, inner = FastAPI(lifespan=service.backend.lifespan), FastAPI()
        app.add_middleware(ThrottleMiddleware, service.guards)
        if service.handled:
            app.add_exception_handler(Throttled, answer_throttled)
        app.mount("/in", inner)
        for where, routes in ((app, service.routes), (inner, service.mounted)):
            for path, calls in routes.items():
                self.route(where, path, calls)
        app.router.routes += [WebSocketRoute(path, endpoint_of(socket)) for path, socket in service.sockets.items()]
        return serve(app, proxy_headers=False)

    def route(self, app, path, calls):
        @app.get(path)
        async def endpoint(request: Request):
            answers = await carry_out(request, calls)
            return answer_of(path, answers) if path.startswith("/stream") else answers
