"""In every framework, the next request after a change is followed counts by the new rate."""

import time

import pytest

from tests.adapters.services import Call, Service
from traffik import HTTPThrottle
from traffik.backends.lmdb import LMDBBackend
from traffik.limits.changes import change_in_store

PATIENCE = 10


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "quota"


@pytest.fixture
def elsewhere(directory):
    """The store of another process. It is not open here, so that the application's is the only one."""
    return LMDBBackend(directory, changes_within=None)


def test_a_change_made_elsewhere_counts_for_the_next_request(serve, uid, directory, elsewhere):
    throttle = HTTPThrottle(uid, "2/day")
    store = LMDBBackend(directory, changes_within=0.02, on_error="raise", deadline=10)
    client = serve(Service(backend=store, routes={"/": [Call("hit", throttle)]}))
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    change_in_store(elsewhere, uid, "3/day")
    end = time.monotonic() + PATIENCE
    while throttle.own_plan.capacity != 3 and time.monotonic() < end:
        time.sleep(0.005)
    answers = [client.get("/") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert [answer.headers["RateLimit-Policy"] for answer in answers] == [f'"{uid}";q=3;w=86400'] * 2
