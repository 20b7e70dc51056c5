"""Promise 25 in Redis, across processes: for each limit, the quota left is the limit minus what was used."""

from __future__ import annotations

from tests.booking import LIMIT, book_in_processes, left_in
from traffik.backends.redis import RedisBackend


def make_store(url):
    return RedisBackend(url, on_error="raise", deadline=10)


def check(url):
    used = book_in_processes("tests.backends.redis.test_accounts:make_store", url)
    assert 0 < used <= LIMIT
    with make_store(url) as store:
        assert left_in(store) == [LIMIT - used] * 2


def test_the_units_of_four_processes_add_up_on_one_server(redis_server):
    check(redis_server.url)


def test_the_units_of_four_processes_add_up_on_a_cluster(redis_cluster):
    host, port = redis_cluster.addresses[0]
    check(f"redis+cluster://{host}:{port}")
