"""Exact limits under load, over real connections."""

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from tests.servers import serve
from traffik import GCRA, FixedWindow, HTTPThrottle, SlidingWindow, TokenBucket
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock
from traffik_starlette import ThrottleMiddleware

TASKS, LIMIT = 72, 30
STRATEGIES = [SlidingWindow(), FixedWindow(), TokenBucket(burst=LIMIT), GCRA(burst=LIMIT)]


def app_of(throttle):
    app = FastAPI(lifespan=InMemoryBackend(clock=VirtualClock()).lifespan)
    app.get("/depends", dependencies=[Depends(throttle)])(lambda: None)

    @app.get("/async")
    async def hit(request: Request):
        await throttle.hit(request)

    @app.get("/sync")
    def hit_sync(request: Request):
        throttle.sync.hit(request)

    return app


async def ask_at_once(address, *paths):
    """Send `TASKS` concurrent requests; the sorted statuses."""
    answers = []

    async def ask(caller, path):
        answers.append((await caller.get(f"http://{address}{path}", timeout=30)).status_code)

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50)) as caller, anyio.create_task_group() as group:
        for number in range(TASKS):
            group.start_soon(ask, caller, paths[number % len(paths)])
    return sorted(answers)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_tasks_get_exactly_the_limit(uid, strategy):
    with serve(app_of(HTTPThrottle(uid, f"{LIMIT}/hour", strategy=strategy))) as address:
        answers = anyio.run(ask_at_once, address, "/async", "/sync", "/depends")
    assert answers == [200] * LIMIT + [429] * (TASKS - LIMIT)


def test_tasks_get_exactly_the_limit_of_a_middleware(uid):
    app = FastAPI(lifespan=InMemoryBackend(clock=VirtualClock()).lifespan)
    app.get("/")(lambda: None)
    guarded = ThrottleMiddleware(app, HTTPThrottle(uid, f"{LIMIT}/hour"))
    with serve(guarded) as address:
        answers = anyio.run(ask_at_once, address, "/")
    assert answers == [200] * LIMIT + [429] * (TASKS - LIMIT)
