"""Requests from other sites: preflights are not counted, and pages can read refusals."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.callers import calling
from traffik import HTTPThrottle
from traffik_starlette import ThrottleMiddleware

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]

ORIGIN = {"Origin": "https://shop.example"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "GET"}
CORS = Middleware(CORSMiddleware, allow_origins=["https://shop.example"], expose_headers=["Retry-After", "RateLimit"])


async def endpoint(request):
    return PlainTextResponse(request.method)


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "2/min")


def app(*middleware):
    return Starlette(routes=[Route("/", endpoint, methods=["GET", "OPTIONS"])], middleware=middleware)


async def ask(app, *requests):
    """Send requests, each a method and its header fields; the statuses."""
    async with calling(app) as caller:
        return [(await caller.request(method, "/", headers=fields)).status_code for method, fields in requests]


@pytest.mark.parametrize("inside", [(), (CORS,)], ids=["alone", "with CORS inside"])
async def test_preflights_consume_no_quota_and_are_never_refused(throttle, inside):
    preflights = [("OPTIONS", PREFLIGHT)] * 5
    requests = [*preflights, *[("GET", ORIGIN)] * 3, *preflights]
    assert await ask(app(Middleware(ThrottleMiddleware, throttle), *inside), *requests) == [200] * 7 + [429] + [200] * 5


async def test_preflights_are_counted_if_asked(throttle):
    counting = app(Middleware(ThrottleMiddleware, throttle, count_preflights=True))
    assert await ask(counting, *[("OPTIONS", PREFLIGHT)] * 3) == [200, 200, 429]


@pytest.mark.parametrize(
    ("method", "fields"),
    [("OPTIONS", {}), ("OPTIONS", ORIGIN), ("OPTIONS", {"Access-Control-Request-Method": "GET"}), ("GET", PREFLIGHT)],
)
async def test_other_requests_are_counted(throttle, method, fields):
    counting = app(Middleware(ThrottleMiddleware, throttle))
    assert await ask(counting, *[(method, fields)] * 3) == [200, 200, 429]


async def test_a_refusal_inside_the_middleware_for_cors_can_be_read_by_the_page(throttle):
    async with calling(app(CORS, Middleware(ThrottleMiddleware, throttle))) as caller:
        refused = [await caller.get("/", headers=ORIGIN) for _ in range(3)][2]
    assert refused.status_code == 429
    assert refused.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert refused.headers["Access-Control-Expose-Headers"] == "Retry-After, RateLimit"
