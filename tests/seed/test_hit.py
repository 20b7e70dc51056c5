"""`await throttle.hit(request)`: decides and consumes."""

import pytest
from fastapi import FastAPI, Request

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

clock = VirtualClock()
backend = InMemoryBackend(clock=clock)
app = FastAPI(lifespan=backend.lifespan)
throttle = HTTPThrottle(uid="api:data", rate="100/min")


@app.get("/data")
async def get_data(request: Request):
    assert await throttle.hit(request) is request
    return {"data": []}


@pytest.fixture
def client(served):
    return served(app)


def test_a_hundred_hits_a_minute_are_admitted(client):
    answers = [client.get("/data") for _ in range(101)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [429]
    assert answers[0].json() == {"data": []}


def test_a_refusal_has_the_wait(client):
    *_, refused = [client.get("/data") for _ in range(101)]
    wait = int(refused.headers["Retry-After"])
    assert 1 <= wait <= 61
    assert {"detail": f"Too many requests. Retry in {wait} seconds."} == refused.json()


def test_a_client_that_obeys_the_wait_is_admitted(client):
    *_, refused = [client.get("/data") for _ in range(101)]
    clock.advance(seconds=int(refused.headers["Retry-After"]))
    assert client.get("/data").status_code == 200
