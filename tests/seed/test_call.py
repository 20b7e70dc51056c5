"""`await throttle(connection, context={...})`: the same as `hit`, with a scope."""

import pytest
from fastapi import FastAPI, Request

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

backend = InMemoryBackend(clock=VirtualClock())
app = FastAPI(lifespan=backend.lifespan)
throttle = HTTPThrottle(uid="api:scoped", rate="200/min")
shared = HTTPThrottle(uid="api:shared", rate="1/min", context={"scope": "everybody"})


@app.get("/resource/{tenant_id}")
async def get_resource(tenant_id: str, request: Request):
    await throttle(request, context={"scope": tenant_id})
    return {"tenant": tenant_id}


@app.get("/shared")
async def get_shared(request: Request, scope: str = ""):
    await shared(request, context={"scope": scope} if scope else None)
    return {}


@pytest.fixture
def client(served):
    return served(app)


def test_every_scope_has_its_own_quota(client):
    first = [client.get("/resource/red").status_code for _ in range(201)]
    assert first == [200] * 200 + [429]
    assert client.get("/resource/blue").json() == {"tenant": "blue"}


def test_the_context_of_the_call_takes_precedence_over_that_of_the_throttle(client):
    answers = [client.get("/shared", params=query).status_code for query in ({}, {}, {"scope": "me"})]
    assert answers == [200, 429, 200]


def test_without_a_context_of_the_call_that_of_the_throttle_applies(client):
    answers = [client.get("/shared", params=query).status_code for query in ({"scope": "everybody"}, {})]
    assert answers == [200, 429]
