"""Requests from other sites: preflights are not counted, and pages can read refusals."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.aiohttp_server import calling
from traffik import HTTPThrottle
from traffik_aiohttp import setup, throttling

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]

ORIGIN = {"Origin": "https://shop.example"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "GET"}


async def handler(request):
    return web.Response(text=request.method)


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "2/min")


def app_with(*middlewares):
    app = web.Application(middlewares=middlewares)
    app.router.add_route("*", "/", handler)
    return app


async def ask(app, *requests):
    """Send requests, each a method and its header fields; the statuses."""
    async with calling(app) as session:
        answers = []
        for method, fields in requests:
            async with session.request(method, "/", headers=fields) as answer:
                answers.append(answer.status)
        return answers


@pytest.mark.parametrize("by_route", [False, True])
async def test_preflights_consume_no_quota_and_are_never_refused(throttle, by_route):
    app = app_with()
    setup(app, () if by_route else throttle, routes={"/": throttle} if by_route else None)
    requests = [*[("OPTIONS", PREFLIGHT)] * 5, *[("GET", ORIGIN)] * 3, ("OPTIONS", PREFLIGHT)]
    assert await ask(app, *requests) == [200] * 7 + [429, 200]


async def test_preflights_are_counted_if_asked(throttle):
    app, other = app_with(throttling(throttle, count_preflights=True)), app_with()
    setup(other, throttle, count_preflights=True)
    assert await ask(app, *[("OPTIONS", PREFLIGHT)] * 3) == [200, 200, 429]
    assert await ask(other, ("OPTIONS", PREFLIGHT)) == [429]


@pytest.mark.parametrize(("method", "fields"), [("OPTIONS", {}), ("OPTIONS", ORIGIN), ("GET", PREFLIGHT)])
async def test_other_requests_are_counted(throttle, method, fields):
    assert await ask(app_with(throttling(throttle)), *[(method, fields)] * 3) == [200, 200, 429]


async def test_refusals_get_the_fields_added_to_responses(throttle):
    app = app_with()
    setup(app, throttle)

    async def allow(request, response):
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]

    app.on_response_prepare.append(allow)  # as aiohttp_cors does
    async with calling(app) as session:
        for _ in range(2):
            await session.get("/", headers=ORIGIN)
        async with session.get("/", headers=ORIGIN) as refused:
            assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (429, ORIGIN["Origin"])
