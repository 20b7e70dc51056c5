"""A small Starlette service: a limit on all requests, a lower one on expensive ones, and its own text for refusals.

From the root of the repository:

    uvicorn examples.starlette_app:app
    curl -i localhost:8000/
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from traffik import Throttled, TokenBucket
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import HTTPThrottle, ThrottleMiddleware, WebSocketThrottle, throttled

backend = InMemoryBackend()

everything = HTTPThrottle(uid="everything", rate="20/s")
reports = HTTPThrottle(uid="reports", rate="3/10s", strategy=TokenBucket(burst=3))
sums = HTTPThrottle(uid="sums", rate="100/min")
ticks = WebSocketThrottle(uid="ticks", rate="2/10s")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, str], None]:
    """Your own lifespan opens the store."""
    async with backend.lifespan(app):
        yield {"greeting": "hello"}


async def home(request: Request) -> Response:
    """Limited by the middleware, like all requests."""
    return PlainTextResponse(request.state.greeting)


@throttled(sums)
def add(request: Request) -> Response:
    """A sync endpoint, which Starlette runs in a thread."""
    return PlainTextResponse(str(sum(map(int, request.query_params.getlist("n")))))


class Reports(HTTPEndpoint):
    """Reading a report is cheap, and making one is expensive."""

    async def get(self, request: Request) -> Response:
        stat = await reports.stat(request)
        return JSONResponse({"left": stat and stat.hits_remaining})

    @throttled(reports, cost=2)
    async def post(self, request: Request) -> Response:
        return PlainTextResponse("made", status_code=201)


async def tick(websocket: WebSocket) -> None:
    """Opening a WebSocket costs quota. A client without quota gets 429 before the handshake."""
    await ticks.hit(websocket)
    await websocket.accept()
    await websocket.send_text("tick")
    await websocket.close()


async def refuse(_: Request, error: Exception) -> Response:
    """Your own text for a refusal, with the headers that tell a client how long to wait."""
    assert isinstance(error, Throttled), "it is registered for this error"
    rejection = error.rejection
    return PlainTextResponse("Slow down, please.", rejection.status, dict(rejection.headers))


app = Starlette(
    routes=[
        Route("/", home),
        WebSocketRoute("/tick", tick),
        Mount("/api", routes=[Route("/add", add), Route("/reports", Reports)]),
    ],
    middleware=[Middleware(ThrottleMiddleware, throttles=everything)],
    exception_handlers={Throttled: refuse},
    lifespan=lifespan,
)
