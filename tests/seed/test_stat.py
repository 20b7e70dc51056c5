"""`await throttle.stat(request)`: the quota left, without consuming any."""

import pytest
from fastapi import FastAPI, Request

from traffik import HTTPThrottle, Rate
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

backend = InMemoryBackend(clock=VirtualClock())
app = FastAPI(lifespan=backend.lifespan)
throttle = HTTPThrottle(uid="api:metered", rate="100/min")
stats = []


@app.get("/status")
async def quota_status(request: Request):
    stat = await throttle.stat(request)
    if stat is None:
        return {"quota": "unknown"}
    stats.append(stat)
    return {"hits_remaining": stat.hits_remaining, "retry_after_ms": stat.wait_ms}


@app.get("/data")
async def get_data(request: Request):
    stat_before = await throttle.stat(request)
    await throttle.hit(request)
    return {
        "quota_used": 1,
        "quota_remaining": (stat_before.hits_remaining - 1) if stat_before else None,
    }


@pytest.fixture
def client(served):
    stats.clear()
    return served(app)


def test_stat_consumes_nothing(client):
    answers = [client.get("/status").json() for _ in range(3)]
    assert answers == [{"hits_remaining": 100, "retry_after_ms": 0}] * 3


def test_one_less_remains_after_the_hit(client):
    remaining = [client.get("/data").json()["quota_remaining"] for _ in range(100)]
    assert list(range(99, -1, -1)) == remaining
    assert client.get("/data").status_code == 429


def test_stat_tells_the_wait_when_nothing_is_left(client):
    *_, refused = [client.get("/data") for _ in range(101)]
    left = client.get("/status").json()
    assert left["hits_remaining"] == 0
    assert int(refused.headers["Retry-After"]) == -(-left["retry_after_ms"] // 1000) > 0


def test_stat_has_the_fields_that_it_promises(client):
    client.get("/status")
    (stat,) = stats
    assert (int, float) == (type(stat.hits_remaining), type(stat.wait_ms))
    assert Rate(100, 60_000_000) == stat.rate
    assert stat.key == "traffik:api:metered:{127.0.0.1}"
