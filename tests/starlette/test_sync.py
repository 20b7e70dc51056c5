"""The same throttles in sync code, on the threads that Starlette runs it on."""

import anyio
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.callers import calling, get, statuses
from traffik import HTTPThrottle

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


def app_of(throttle, cost=None):
    def hit(request):
        assert throttle.sync.hit(request, cost) is request
        return PlainTextResponse(str(throttle.sync.stat(request).hits_remaining))

    def check(request):
        return PlainTextResponse(str(bool(throttle.sync.check(request, cost))))

    def reset(request):
        throttle.sync.reset(request)
        return PlainTextResponse("")

    return Starlette(routes=[Route("/", hit), Route("/check", check), Route("/reset", reset)])


async def test_hit_stat_check_and_reset_work(uid):
    app = app_of(HTTPThrottle(uid, "2/min"), cost=2)
    assert [(await get(app, path)).text for path in ("/check", "/", "/check")] == ["True", "0", "False"]
    assert await statuses(app, "/", "/reset", "/") == [429, 200, 200]


async def test_the_quota_is_that_of_async_code(uid):
    app, throttle = FastAPI(), HTTPThrottle(uid, "2/min")

    @app.get("/sync")
    def hit_sync(request: Request):
        throttle.sync(request)

    @app.get("/async")
    async def hit(request: Request):
        await throttle(request)

    assert await statuses(app, "/sync", "/async", "/sync", "/async") == [200, 200, 429, 429]


async def test_threads_get_exactly_the_limit(uid):
    app, answers = app_of(HTTPThrottle(uid, "10/min")), []

    async def ask(caller):
        answers.append((await caller.get("/")).status_code)

    async with calling(app) as caller, anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(ask, caller)
    assert sorted(answers) == [200] * 10 + [429] * 30


async def waiting(*arguments):
    return "1/min"


@pytest.mark.parametrize("option", ["identifier", "rate", "cost", "handle_throttled"])
async def test_an_async_function_is_an_error_that_names_it(uid, option):
    throttle = HTTPThrottle(uid, **{"rate": "0/min", option: waiting})
    with pytest.raises(TypeError, match=r"waiting is async, so sync code cannot use it"):
        await get(app_of(throttle))
