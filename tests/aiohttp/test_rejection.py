"""The response to a refused request."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

import traffik
import traffik_aiohttp
from tests.adapters.services import problem
from tests.aiohttp_server import calling, statuses
from tests.backends.redis.servers import free_port
from traffik import HTTPThrottle, is_throttled
from traffik.backends.redis import RedisBackend

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


def app_of(throttle, cost=1):
    async def handler(request):
        assert await throttle.hit(request, cost) is request
        return web.Response(text="admitted")

    app = web.Application()
    app.router.add_get("/", handler)
    return app


async def refused(app):
    async with calling(app) as session:
        await statuses(session, "/")
        async with session.get("/") as answer:
            return answer.status, answer.headers, await answer.read()


def test_it_is_an_exception_of_traffik_and_of_aiohttp():
    assert issubclass(traffik_aiohttp.Throttled, traffik.Throttled)
    assert issubclass(traffik_aiohttp.Throttled, web.HTTPTooManyRequests)
    assert issubclass(traffik_aiohttp.ThrottleUnavailable, traffik.Throttled)
    assert issubclass(traffik_aiohttp.ThrottleUnavailable, web.HTTPServiceUnavailable)


async def test_it_has_the_wait(uid):
    status, fields, body = await refused(app_of(HTTPThrottle(uid, "1/min")))
    assert (status, fields["Retry-After"]) == (429, "60")
    assert fields["Content-Type"] == "application/problem+json"
    assert body == problem("Too many requests. Retry in 60 seconds.", uid)


async def test_it_has_the_headers_of_the_draft(uid):
    _, fields, _ = await refused(app_of(HTTPThrottle(uid, "1/min")))
    assert f'"{uid}";q=1;w=60' == fields["RateLimit-Policy"]
    assert f'"{uid}";r=0;t=60' == fields["RateLimit"]


async def test_a_cost_above_the_capacity_has_no_wait(uid):
    status, fields, body = await refused(app_of(HTTPThrottle(uid, "5/min"), cost=6))
    assert (status, "Retry-After" in fields) == (429, False)
    assert b"more than the limit of 5" in body


async def test_a_store_that_does_not_answer_gives_a_503(uid):
    away = RedisBackend(f"redis://127.0.0.1:{free_port()}", on_error="throttle")
    status, fields, body = await refused(app_of(HTTPThrottle(uid, "1/min", backend=away)))
    assert (status, fields["Retry-After"]) == (503, "1")
    assert body == problem("The rate limiter is unavailable. Retry in 1 second.", None)


@pytest.mark.parametrize("caught", [traffik.Throttled, traffik_aiohttp.Throttled, web.HTTPException])
async def test_a_handler_may_catch_it(uid, caught):
    throttle = HTTPThrottle(uid, "0/min")

    async def handler(request):
        with pytest.raises(caught) as refusal:
            await throttle.hit(request)
        return web.json_response([refusal.value.status, refusal.value.decision.allowed, is_throttled(request)])

    app = web.Application()
    app.router.add_get("/", handler)
    async with calling(app) as session, session.get("/") as answer:
        assert await answer.json() == [429, False, True]


async def test_it_consumes_nothing(uid, clock):
    async with calling(app_of(HTTPThrottle(uid, "1/min"))) as session:
        assert await statuses(session, *["/"] * 10) == [200] + [429] * 9
        clock.advance(seconds=60)
        assert await statuses(session, "/") == [200]


async def test_check_and_stat_consume_nothing_and_calling_the_throttle_is_a_hit(uid):
    throttle = HTTPThrottle(uid, "3/min")

    async def handler(request):
        stat = await throttle.stat(request)
        checks = [bool(await throttle.check(request, cost=cost)) for cost in (3, 4)]
        assert await throttle(request, context={"scope": "other"}) is request
        return web.json_response([stat.hits_remaining, *checks])

    app = web.Application()
    app.router.add_get("/", handler)
    async with calling(app) as session:
        for _ in range(2):
            async with session.get("/") as answer:
                assert await answer.json() == [3, True, False]


async def test_a_mocked_request_is_refused_with_a_status_too(uid, backend):
    request = make_mocked_request("GET", "/")
    with pytest.raises(web.HTTPTooManyRequests):
        await HTTPThrottle(uid, "0/min", identifier=lambda request: "ada").hit(request)
