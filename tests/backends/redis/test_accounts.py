"""Promise 25 in Redis, over processes: what is left is what was not used, in all limits of a decision."""

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


def test_four_processes_keep_the_books_of_one_server_in_order(redis_server):
    check(redis_server.url)


def test_four_processes_keep_the_books_of_a_cluster_in_order(redis_cluster):
    host, port = redis_cluster.addresses[0]
    check(f"redis+cluster://{host}:{port}")
