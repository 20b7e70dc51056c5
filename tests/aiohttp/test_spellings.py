"""Other spellings of a path do not escape a limit on a real server: routes, applications, files and WebSockets."""

import pytest
from aiohttp import web

from tests.aiohttp_server import serve_aiohttp
from tests.spellings import Resource, check, limits_in, make_files
from traffik_aiohttp import setup
from traffik_aiohttp.adapter import http

ROUTES = [
    Resource("items", "/api/items", "/api/items", "/api/items", "/api/items"),
    Resource("orders", "/users/é 7/orders", "/users/*/orders", r"/users/[^/]*/orders", "/users/{id}/orders"),
    Resource("script", "/items/a.js", "/items/*.js", r"/items/.*\.js", "/items/{name}.js"),
    Resource("text", "/text/a/b", "/text/**", r"/text/.*", "/text/{rest}"),
    Resource("inner", "/in/x", "/in/x", "/in/x", "/in/x"),
    Resource("inner item", "/in/x/7", "/in/x/*", "/in/x/[^/]+", "/in/x/{id}"),
    # A handshake is a request here, so its throttles are of HTTP.
    Resource("chat", "/chat/7", "/chat/*", "/chat/.+", "/chat/{room}"),
]
FILES = [
    Resource("zip", "/assets/big.zip", "/assets/*.zip", r"/assets/[^/]*\.zip", "/assets"),
    Resource("sub", "/assets/sub/f.txt", "/assets/sub/f.txt", r"/assets/sub/f\.txt", "/assets"),
    Resource("deep", "/assets/sub/deep/g.txt", "/assets/sub/deep/**", "/assets/sub/deep/.*", "/assets"),
]
EVERYTHING = [*ROUTES, *FILES]


def answering(name):
    async def handler(request):
        return web.Response(headers={"x-reached": name})

    return handler


async def chat(request):
    socket = web.WebSocketResponse()
    socket.headers["x-reached"] = "chat"
    await socket.prepare(request)
    return socket


async def tell(request, response):
    response.headers["x-limits"] = limits_in(http.memory(request))


def application(folder, backend, *, follow_symlinks):
    app, inner = web.Application(), web.Application()
    for path, name in (("/x", "inner"), ("/x/{id}", "inner item")):
        inner.router.add_get(path, answering(name))
    for each in ROUTES[:3]:
        app.router.add_get(each.route, answering(each.name))
    app.router.add_get("/text/{rest:.*}", answering("text"))
    app.router.add_get("/chat/{room}", chat)
    app.router.add_static("/assets", folder, follow_symlinks=follow_symlinks)
    setup(app, [throttle for each in EVERYTHING for throttle in each.throttles()], backend=backend, headers=False)
    app.on_response_prepare.append(tell)
    app.add_subapp("/in", inner)
    return app


@pytest.mark.parametrize("follow_symlinks", [False, True])
def test_other_spellings_do_not_escape_a_limit(follow_symlinks, tmp_path, backend):
    app = application(make_files(tmp_path), backend, follow_symlinks=follow_symlinks)
    with serve_aiohttp(app) as address:
        check(address, EVERYTHING, opened=["chat"])
