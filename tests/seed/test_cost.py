"""`await throttle.hit(request, cost=N)`: a cost for this call."""

import pytest
from fastapi import FastAPI, Request

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

backend = InMemoryBackend(clock=VirtualClock())
app = FastAPI(lifespan=backend.lifespan)
upload_throttle = HTTPThrottle(uid="uploads", rate="1000/min")


@app.post("/upload")
async def upload(request: Request):
    body = await request.body()
    await upload_throttle.hit(request, cost=max(1, len(body) // 1024))
    return {"received": len(body)}


@app.post("/notes")
async def note(request: Request):
    is_long = len(await request.body()) > 10
    await upload_throttle.hit(request, cost=1000 if is_long else 0)
    return {}


@pytest.fixture
def client(served):
    return served(app)


def kilobytes(number):
    return b"x" * 1024 * number


def test_a_hit_consumes_its_cost(client):
    sizes = [600, 300, 101, 100, 1]
    answers = [client.post("/upload", content=kilobytes(size)).status_code for size in sizes]
    assert answers == [200, 200, 429, 200, 429]


def test_the_default_cost_is_one(client):
    assert client.post("/upload", content=kilobytes(999)).status_code == 200
    assert [client.post("/upload").status_code for _ in range(2)] == [200, 429]


def test_a_cost_of_0_is_admitted_without_the_store(client):
    assert client.post("/notes", content=b"a long note").status_code == 200
    assert client.post("/upload").status_code == 429
    assert client.post("/notes", content=b"short").status_code == 200
    assert backend.keys == 1


def test_a_cost_of_0_leaves_no_key(client):
    assert client.post("/notes", content=b"short").status_code == 200
    assert backend.keys == 0


def test_a_cost_above_the_capacity_is_refused_without_a_wait(client):
    refused = client.post("/upload", content=kilobytes(1001))
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert "more than the limit of 1000" in refused.json()["detail"]
