"""Throttles with Redis work as with the in-memory store, and answer 503 if the server does not answer."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.backends.redis.servers import free_port
from tests.callers import get
from traffik import EXEMPTED, HTTPThrottle, Limiter, Rule
from traffik.backends.redis import RedisBackend
from traffik_starlette import ThrottleMiddleware

pytestmark = pytest.mark.anyio


def app_of(throttle, *, outside=False):
    async def index(request):
        if not outside:
            await throttle.hit(request)
        return PlainTextResponse("ok")

    middleware = [Middleware(ThrottleMiddleware, throttle if outside else ())]
    return Starlette(routes=[Route("/", index)], middleware=middleware)


@pytest.fixture
async def store(redis_server):
    async with RedisBackend(redis_server.url, on_error="raise", deadline=5) as store:
        yield store


@pytest.mark.parametrize("outside", [False, True], ids=["in the route", "in the middleware"])
async def test_a_route_is_throttled(store, outside):
    app = app_of(HTTPThrottle("t", "2/day", backend=store), outside=outside)
    responses = [await get(app, "/") for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert [response.headers["ratelimit"].split(";")[1] for response in responses] == ["r=1", "r=0", "r=0"]
    assert int(responses[2].headers["retry-after"]) > 80_000


async def test_the_only_open_store_is_found(store):
    limiter = Limiter("t", "1/day")
    assert [(await limiter.hit("a")).allowed for _ in range(2)] == [True, False]


async def test_rules_choose_which_requests_are_counted(store):
    throttle = HTTPThrottle("t", "1/day", rules=[Rule("/"), Rule("/free", bypass=True)], backend=store)
    app = app_of(throttle, outside=True)
    assert [(await get(app, path)).status_code for path in ("/", "/", "/other", "/free", "/")] == [
        200,
        429,
        404,
        404,
        429,
    ]
    throttle.add_rule(Rule("/", when=lambda _: True, bypass=True))
    assert [(await get(app, path)).status_code for path in ("/", "/")] == [200, 200]


async def test_the_identifier_and_the_cost_function_are_called(store):
    who = {"identifier": lambda request: request.headers["who"], "cost": lambda request: int(request.headers["cost"])}
    app = app_of(HTTPThrottle("t", "5/day", backend=store, **who))
    hits = [("a", 3), ("b", 5), ("a", 3), ("a", 2), ("b", 0)]
    responses = [await get(app, headers={"who": name, "cost": str(cost)}) for name, cost in hits]
    assert [response.status_code for response in responses] == [200, 200, 429, 200, 200]


async def test_an_exempted_client_is_not_counted(store):
    app = app_of(HTTPThrottle("t", "1/day", identifier=lambda _: EXEMPTED, backend=store))
    assert [(await get(app, "/")).status_code for _ in range(2)] == [200, 200]


async def test_an_async_identifier_is_awaited(store):
    async def who(request):
        return 7

    app = app_of(HTTPThrottle("t", "1/day", identifier=who, backend=store))
    assert [(await get(app, "/")).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("outside", [False, True], ids=["in the route", "in the middleware"])
async def test_a_server_that_does_not_answer_gives_a_503(outside):
    away = RedisBackend(f"redis://127.0.0.1:{free_port()}", on_error="throttle")
    response = await get(app_of(HTTPThrottle("t", "1/day", backend=away), outside=outside), "/")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "The rate limiter is unavailable. Retry in 1 second." in response.text
