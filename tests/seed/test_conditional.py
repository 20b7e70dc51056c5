"""A larger program: a cost that is known after the work, and a charge for successful items only."""

import pytest
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

clock = VirtualClock()
backend = InMemoryBackend(clock=clock)
app = FastAPI(lifespan=backend.lifespan)
batch_throttle = HTTPThrottle(uid="batch:items", rate="10000/min")


async def process_items(items):
    return [item for item in items if item is not None]


@app.post("/batch")
async def process_batch(request: Request):
    items = (await request.json()).get("items", [])
    if not items:
        return {"processed": 0}
    if not await batch_throttle.check(request, cost=len(items)):
        stat = await batch_throttle.stat(request)
        retry_after = int((stat.wait_ms / 1000) + 1) if stat else 60
        raise HTTPException(
            status_code=429,
            detail=f"{len(items)} items are too many now.",
            headers={"Retry-After": str(retry_after)},
        )
    results = await process_items(items)
    await batch_throttle.hit(request, cost=len(results))
    return {"processed": len(results)}


@pytest.fixture
def client(served):
    return served(app)


def post(client, items):
    return client.post("/batch", json={"items": items})


def test_an_empty_batch_is_free(client):
    assert client.post("/batch", json={}).json() == {"processed": 0}
    assert backend.keys == 0


def test_only_successful_items_are_charged(client):
    assert post(client, [1, None] * 4000).json() == {"processed": 4000}
    assert post(client, [1] * 6000).json() == {"processed": 6000}
    assert post(client, [1]).status_code == 429


def test_a_batch_beyond_the_quota_is_not_started(client):
    post(client, [1] * 9000)
    refused = post(client, [1] * 1001)
    assert (refused.status_code, refused.json()["detail"]) == (429, "1001 items are too many now.")
    assert post(client, [1] * 1000).json() == {"processed": 1000}


def test_a_client_that_obeys_the_wait_can_send_a_single_item(client):
    post(client, [1] * 10_000)
    clock.advance(seconds=int(post(client, [1]).headers["Retry-After"]))
    assert post(client, [1]).json() == {"processed": 1}
