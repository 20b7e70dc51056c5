"""The example for several machines works as described: two processes, over real connections, on a real server."""

import httpx
import pytest

from tests.backends.redis.servers import server
from tests.servers import serve_apart

ADA, BOB, EVE = ({"X-API-Key": f"{name}-key"} for name in ("ada", "bob", "eve"))
APP = "examples.redis_app:app"


@pytest.fixture(scope="module")
def redis_server():
    with server() as one:
        yield one


@pytest.fixture(scope="module")
def addresses(redis_server):
    url = f"{redis_server.url}/0"
    with serve_apart(APP, TRAFFIK_REDIS_URL=url) as one, serve_apart(APP, TRAFFIK_REDIS_URL=url) as other:
        yield one, other


@pytest.fixture
def clients(addresses, redis_server):
    if not redis_server.alive:
        redis_server.restart()
    with httpx.Client(base_url=f"http://{addresses[0]}") as one, httpx.Client(base_url=f"http://{addresses[1]}") as two:
        yield one, two


def test_two_processes_share_one_quota(clients):
    answers = [clients[number % 2].get("/quotes", headers=ADA) for number in range(16)]
    assert [answer.status_code for answer in answers] == [200] * 12 + [429] * 4
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers[:3]] == ["r=11", "r=10", "r=9"]
    assert [client.get("/health").json() for client in clients] == [{}, {}]


def test_a_flood_of_refused_requests_does_not_reach_redis(clients, redis_server):
    assert [clients[0].get("/quotes", headers=BOB).status_code for _ in range(13)] == [200] * 12 + [429]
    before = calls(redis_server)
    assert {clients[0].get("/quotes", headers=BOB).status_code for _ in range(20)} == {429}
    assert calls(redis_server) - before <= 2


def test_a_search_has_two_limits(clients):
    answers = [clients[number % 2].get("/search", params={"word": "HASTE"}, headers=ADA) for number in range(6)]
    assert answers[0].json() == ["Less haste, more speed."]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]


def test_without_redis_each_process_admits_its_share(clients, redis_server):
    redis_server.kill()
    answers = [[client.get("/quotes", headers=EVE).status_code for _ in range(5)] for client in clients]
    assert answers == [[200] * 3 + [429] * 2] * 2
    assert [client.get("/health").json() for client in clients] == [{"fallback": 5}] * 2


def calls(redis_server):
    return redis_server.info("commandstats")["cmdstat_evalsha"]["calls"]
