"""`await throttle.check(request, cost=N)`: checks the quota before the work."""

import pytest
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

backend = InMemoryBackend(clock=VirtualClock())
app = FastAPI(lifespan=backend.lifespan)
export_throttle = HTTPThrottle(uid="exports", rate="1000/min")


@app.post("/export")
async def export(request: Request):
    body = await request.body()
    cost = max(1, len(body) // 512)
    if not await export_throttle.check(request, cost=cost):
        raise HTTPException(status_code=429, detail=f"An export of {cost} units is too much now.")
    await export_throttle.hit(request, cost=cost)
    return {"exported": cost}


@app.get("/may-export")
async def may_export(request: Request, cost: int):
    return bool(await export_throttle.check(request, cost=cost))


@pytest.fixture
def client(served):
    return served(app)


def test_check_stops_what_hit_would_refuse(client):
    assert client.post("/export", content=b"x" * 512 * 800).json() == {"exported": 800}
    refused = client.post("/export", content=b"x" * 512 * 201)
    assert (refused.status_code, refused.json()) == (429, {"detail": "An export of 201 units is too much now."})
    assert client.post("/export", content=b"x" * 512 * 200).json() == {"exported": 200}


def test_check_consumes_nothing(client):
    answers = [client.get("/may-export", params={"cost": 1000}).json() for _ in range(5)]
    assert answers == [True] * 5
    assert backend.keys == 0


def test_check_is_false_for_a_cost_that_can_never_fit(client):
    assert client.get("/may-export", params={"cost": 1001}).json() is False
