"""Responses while the store does not answer, in every framework: Redis on a port without a server."""

import pytest

from tests.adapters.services import Call
from tests.backends.redis.servers import free_port
from traffik import HTTPThrottle
from traffik.backends.redis import RedisBackend


@pytest.fixture
def away(served, uid):
    """Serves a throttle whose store has never been reachable, with this error policy."""

    def start(on_error):
        store = RedisBackend(f"redis://127.0.0.1:{free_port()}", on_error=on_error)
        return served(Call("hit", HTTPThrottle(uid, "2/hour", backend=store)))

    return start


def statuses(client):
    return [client.get("/").status_code for _ in range(3)]


def test_fallback_counts_in_the_process(away):
    assert statuses(away("fallback")) == [200, 200, 429]


def test_allow_admits(away):
    assert statuses(away("allow")) == [200, 200, 200]


def test_throttle_gives_a_503(framework, away):
    client = away("throttle")
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.content == framework.body("The rate limiter is unavailable. Retry in 1 second.")


def test_raise_gives_a_500(away):
    assert away("raise").get("/").status_code == 500
