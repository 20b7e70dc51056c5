"""Other spellings of a path do not escape a limit on a real server: routes, mounts, files and WebSockets."""

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from tests.servers import serve
from tests.spellings import Resource, check, limits_in, make_files
from traffik.throttles.asgi import MEMORY
from traffik_starlette import ThrottleMiddleware

ROUTES = [
    Resource("items", "/api/items", "/api/items", "/api/items", "/api/items"),
    Resource("orders", "/users/é 7/orders", "/users/*/orders", r"/users/[^/]*/orders", "/users/{id}/orders"),
    Resource("script", "/items/a.js", "/items/*.js", r"/items/.*\.js", "/items/{name}.js"),
    Resource("item", "/numbers/7", "/numbers/*", r"/numbers/\d+", "/numbers/{id:int}"),
    Resource("text", "/text/a/b", "/text/**", r"/text/.*", "/text/{rest:path}"),
    Resource("inner", "/in/x", "/in/x", "/in/x", "/in/x"),
    Resource("inner item", "/in/x/7", "/in/x/*", "/in/x/[^/]+", "/in/x/{id}"),
    Resource("twice", "/in/in/x", "/in/in/x", "/in/in/x", "/in/in/x"),
    Resource("tenant", "/t/acme/b/c", "/t/*/b/*", "/t/[^/]+/b/.+", "/t/{tenant}/b/{id}"),
]
FILES = [
    Resource("zip", "/assets/big.zip", "/assets/*.zip", r"/assets/[^/]*\.zip", "/assets"),
    Resource("sub", "/assets/sub/f.txt", "/assets/sub/f.txt", r"/assets/sub/f\.txt", "/assets"),
    Resource("deep", "/assets/sub/deep/g.txt", "/assets/sub/deep/**", "/assets/sub/deep/.*", "/assets"),
]
SOCKETS = [
    Resource("chat", "/chat/7", "/chat/*", "/chat/.+", "/chat/{room}", websocket=True),
    Resource("live", "/in/live", "/in/live", "/in/live", "/in/live", websocket=True),
]
EVERYTHING = [*ROUTES, *FILES, *SOCKETS]


@pytest.fixture
def files(tmp_path):
    return StaticFiles(directory=make_files(tmp_path))


def http(name):
    async def endpoint(request: Request):
        return PlainTextResponse(name, headers={"x-reached": name})

    return endpoint


def socket(name):
    async def endpoint(websocket: WebSocket):
        fields = {"x-reached": name, "x-limits": limits_in(websocket.scope[MEMORY])}
        await websocket.accept(headers=[(key.encode(), value.encode()) for key, value in fields.items()])

    return endpoint


def telling(app, prefix):
    """Wrap the application in the throttles of all resources. Responses name those that applied.

    The root path is `prefix`, as for a proxy that removes it; routes are found with and without it.
    """
    guarded = ThrottleMiddleware(app, [throttle for each in EVERYTHING for throttle in each.throttles()], headers=False)

    async def tell(scope, receive, send):
        async def answer(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-limits", limits_in(scope[MEMORY]).encode())]
            await send(message)

        await guarded({**scope, "root_path": prefix, MEMORY: scope.setdefault(MEMORY, {})}, receive, answer)

    return tell


def starlette(files):
    inner = [
        Route("/x", http("inner")),
        Route("/x/{id}", http("inner item")),
        Route("/in/x", http("twice")),
        WebSocketRoute("/live", socket("live")),
    ]
    return Starlette(
        routes=[
            *(Route(each.route, http(each.name)) for each in ROUTES[:5]),
            Mount("/in", Starlette(routes=inner)),
            Mount("/t/{tenant}", Router([Route("/b/{id}", http("tenant"))])),
            Mount("/assets", files),
            WebSocketRoute("/chat/{room}", socket("chat")),
        ]
    )


def fastapi(files):
    app, inner, users = FastAPI(), FastAPI(), APIRouter(prefix="/users/{id}")
    users.get("/orders")(http("orders"))
    app.include_router(users)
    for each in (ROUTES[0], *ROUTES[2:5]):
        app.get(each.route)(http(each.name))
    for where, name in (("/x", "inner"), ("/x/{id}", "inner item"), ("/in/x", "twice")):
        inner.get(where)(http(name))
    inner.websocket("/live")(socket("live"))
    app.websocket("/chat/{room}")(socket("chat"))
    app.mount("/in", inner)
    app.mount("/t/{tenant}", Router([Route("/b/{id}", http("tenant"))]))
    app.mount("/assets", files)
    return app


@pytest.mark.parametrize("application", [starlette, fastapi])
@pytest.mark.parametrize("prefix", ["", "/proxy"])
def test_other_spellings_do_not_escape_a_limit(application, prefix, files, backend):
    with serve(telling(application(files), prefix), lifespan="off", log_level="critical") as address:
        check(address, EVERYTHING, opened=["chat", "live"])
