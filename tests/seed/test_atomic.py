"""A check and a hit as two steps, and as one: what concurrent requests are charged, and which are refused."""

import anyio
import pytest
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from tests.callers import get
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

pytestmark = pytest.mark.anyio
COST, REAL, CALLERS = 3_000, 2_000, 20


@pytest.fixture
def worked():
    """The requests whose work began."""
    return []


@pytest.fixture
def app(worked):
    app = FastAPI()
    throttle = HTTPThrottle("atomic", "10000/min", backend=InMemoryBackend())

    async def work(request):
        worked.append(request)
        await anyio.sleep(0.01)

    @app.get("/steps")
    async def in_steps(request: Request):
        if not await throttle.check(request, cost=COST):
            raise HTTPException(429)
        await work(request)
        await throttle.hit(request, cost=REAL)

    @app.get("/atomic")
    async def atomic(request: Request):
        async with throttle.reserve(request, cost=COST) as reservation:
            await work(request)
            await reservation.commit(REAL)

    @app.get("/left")
    async def left(request: Request):
        return (await throttle.stat(request)).hits_remaining

    return app


async def all_at_once(app, path):
    """Send requests concurrently; their statuses."""
    statuses = []

    async def ask():
        statuses.append((await get(app, path)).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(CALLERS):
            group.start_soon(ask)
    return statuses


async def test_in_two_steps_some_work_is_done_and_then_refused(app, worked):
    statuses = await all_at_once(app, "/steps")
    assert (len(worked), statuses.count(200)) == (CALLERS, 5)


async def test_in_one_step_only_admitted_work_is_done(app, worked):
    statuses = await all_at_once(app, "/atomic")
    assert len(worked) == statuses.count(200) == 3
    assert (await get(app, "/left")).json() == 10_000 - 3 * REAL
