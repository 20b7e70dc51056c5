"""The response to a refused request."""

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

import traffik
import traffik_starlette
from tests.callers import DENIAL, converse, get, statuses
from traffik import HTTPThrottle, WebSocketThrottle
from traffik_starlette import ThrottleMiddleware

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


def throttled_app(throttle, cost=1, **options):
    async def endpoint(request):
        await throttle.hit(request, cost)
        return PlainTextResponse("admitted")

    return Starlette(routes=[Route("/", endpoint)], **options)


async def refused(app):
    await get(app)
    return await get(app)


def test_it_is_an_exception_of_traffik_and_of_starlette():
    assert issubclass(traffik_starlette.Throttled, traffik.Throttled)
    assert issubclass(traffik_starlette.Throttled, HTTPException)


async def test_it_has_the_wait(uid):
    answer = await refused(throttled_app(HTTPThrottle(uid, "1/min")))
    assert (answer.status_code, answer.text) == (429, "Too many requests. Retry in 60 seconds.")
    assert answer.headers["Retry-After"] == "60"


async def test_it_has_the_headers_of_the_draft(uid):
    answer = await refused(throttled_app(HTTPThrottle(uid, "1/min")))
    assert f'"{uid}";q=1;w=60' == answer.headers["RateLimit-Policy"]
    assert f'"{uid}";r=0;t=60' == answer.headers["RateLimit"]


async def test_it_lists_every_policy_and_the_quota_of_the_binding_one(uid):
    answer = await refused(throttled_app(HTTPThrottle(uid, "5/s; 1/min")))
    assert f'"{uid}.1";q=5;w=1, "{uid}.2";q=1;w=60' == answer.headers["RateLimit-Policy"]
    assert f'"{uid}.2";r=0;t=60' == answer.headers["RateLimit"]


async def test_it_is_json_in_fastapi(uid):
    app, throttle = FastAPI(), HTTPThrottle(uid, "1/min")

    @app.get("/")
    async def endpoint(request: Request):
        await throttle.hit(request)

    answer = await refused(app)
    assert (answer.status_code, answer.json()) == (429, {"detail": "Too many requests. Retry in 60 seconds."})


async def test_a_cost_above_the_capacity_has_no_wait(uid):
    answer = await get(throttled_app(HTTPThrottle(uid, "5/min"), cost=6))
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, False)
    assert answer.text == "Too many requests. This one costs more than the limit of 5 can ever admit."


@pytest.mark.parametrize("caught", [traffik.Throttled, traffik_starlette.Throttled, HTTPException, 429])
async def test_a_handler_of_the_application_gets_it(uid, caught):
    async def tell(request, error):
        return JSONResponse({"wait": error.decision.wait_seconds}, error.status_code, error.headers)

    app = throttled_app(HTTPThrottle(uid, "1/min"), exception_handlers={caught: tell})
    answer = await refused(app)
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (429, {"wait": 60}, "60")


async def test_an_endpoint_may_catch_it(uid):
    throttle = HTTPThrottle(uid, "1/min")

    async def endpoint(request):
        try:
            await throttle.hit(request)
        except traffik.Throttled as refusal:
            return PlainTextResponse(f"never mind the {refusal.decision.wait_ms:.0f} ms")
        return PlainTextResponse("admitted")

    assert (await refused(Starlette(routes=[Route("/", endpoint)]))).text == "never mind the 60000 ms"


async def test_it_consumes_nothing(uid, clock):
    app = throttled_app(HTTPThrottle(uid, "1/min"))
    assert await statuses(app, *["/"] * 10) == [200] + [429] * 9
    clock.advance(seconds=60)
    assert await statuses(app, "/") == [200]


class Own:
    """A middleware of an application, in pure ASGI."""

    def __init__(self, app, throttle, begin=False):
        self.app = app
        self.throttle = throttle
        self.begin = begin

    async def __call__(self, scope, receive, send):
        if self.begin:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        connection = WebSocket(scope, receive, send) if scope["type"] == "websocket" else Request(scope, receive)
        await self.throttle.hit(connection)
        await self.app(scope, receive, send)


class TestAMiddlewareOfTheApplication:
    @pytest.mark.parametrize("pure", [True, False])
    async def test_its_refusal_is_answered_by_the_middleware_around_it(self, uid, pure):
        app, throttle = FastAPI(), HTTPThrottle(uid, "1/min")

        async def dispatch(request, call_next):
            await throttle.hit(request)
            return await call_next(request)

        app.add_middleware(Own, throttle) if pure else app.middleware("http")(dispatch)
        app.add_middleware(ThrottleMiddleware)
        answer = await refused(app)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
        assert answer.json()["violated-policies"] == [uid]
        assert answer.headers.get_list("RateLimit") == [f'"{uid}";r=0;t=60']

    async def test_its_refusal_of_a_websocket_too(self, uid):
        app = ThrottleMiddleware(Own(WebSocketRoute("/", unreached), WebSocketThrottle(uid, "0/min")))
        for more in (DENIAL, {}):
            (denied,) = (await converse(app, **more))[:1]
            assert denied["type"] == ("websocket.http.response.start" if more else "websocket.close")

    async def test_after_the_response_has_begun_the_refusal_is_raised(self, uid):
        app = ThrottleMiddleware(Own(PlainTextResponse("ok"), HTTPThrottle(uid, "0/min"), begin=True))
        with pytest.raises(traffik_starlette.Throttled):
            await get(app)


async def unreached(websocket): ...
