"""A refusal does not wait for the body, over real connections whose clients send only a part of the body."""

import socket

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.aiohttp_server import serve_aiohttp
from tests.callers import get, statuses
from tests.servers import PATIENCE, serve
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock
from traffik_starlette import throttled
from traffik_starlette.fastapi import ThrottledRoute


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "0/min", backend=InMemoryBackend(clock=VirtualClock()))


def status_of_an_unfinished_upload(address):
    """Send only a part of a body; the status line of the response."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n"
        client.sendall(head.encode() + b"[" * 1000)
        return client.recv(1000).split(b"\r\n")[0]


async def in_starlette(request):
    return PlainTextResponse(await request.body())


def test_starlette_refuses_before_the_body(throttle):
    app = Starlette(routes=[Route("/", throttled(throttle)(in_starlette), methods=["POST"])])
    with serve(app) as address:
        assert status_of_an_unfinished_upload(address) == b"HTTP/1.1 429 Too Many Requests"


@pytest.mark.parametrize("place", ["application", "router"])
def test_fastapi_with_the_route_class_refuses_before_the_body(throttle, place):
    app, router = FastAPI(), APIRouter(route_class=ThrottledRoute)
    app.router.route_class = ThrottledRoute

    @(app if place == "application" else router).post("/")
    @throttled(throttle)
    def endpoint(body: list[int]): ...

    app.include_router(router)
    with serve(app) as address:
        assert status_of_an_unfinished_upload(address) == b"HTTP/1.1 429 Too Many Requests"


def test_aiohttp_refuses_before_the_body(throttle):
    from aiohttp import web

    from traffik_aiohttp import throttled

    @throttled(throttle)
    async def handler(request):
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/", handler)
    with serve_aiohttp(app) as address:
        assert status_of_an_unfinished_upload(address) == b"HTTP/1.1 429 Too Many Requests"


@pytest.mark.anyio
@pytest.mark.usefixtures("backend")
class TestTheRouteClass:
    @pytest.fixture
    def app(self):
        app = FastAPI()
        app.router.route_class = ThrottledRoute
        return app

    async def test_it_counts_each_throttle_once(self, app, uid):
        one, two = HTTPThrottle(f"{uid}-1", "3/min"), HTTPThrottle(f"{uid}-2", "2/min")

        @app.get("/")
        @throttled(one)
        @throttled(two, cost=2)
        async def endpoint(request: Request):
            return (await one.stat(request)).hits_remaining

        assert (await get(app)).json() == 2
        assert (await get(app)).headers["RateLimit"].startswith(f'"{two.uid}";r=0')

    async def test_it_sends_the_response_of_a_handler(self, app, uid):
        app.get("/")(throttled("0/min", uid=uid, handle_throttled=lambda: PlainTextResponse("busy", 503))(in_starlette))
        answer = await get(app)
        assert (answer.status_code, answer.text) == (503, "busy")

    async def test_it_allows_an_async_identifier_for_a_sync_endpoint(self, app, uid):
        async def who(request):
            return "client"

        app.get("/")(throttled("1/min", uid=uid, identifier=who)(lambda: None))
        assert await statuses(app, "/", "/") == [200, 429]

    async def test_it_does_not_change_routes_without_a_decorator(self, app):
        app.get("/")(lambda: None)
        assert await statuses(app, "/", "/") == [200, 200]
