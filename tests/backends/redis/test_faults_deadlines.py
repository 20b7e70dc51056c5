"""Each hit ends by its deadline if a name lookup, the connection, TLS, the login or a queue hangs."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from threading import Event

import anyio
import anyio.to_thread
import pytest

from tests.backends.redis.servers import resolve
from tests.backends.redis.ways import BUSY, LIMIT, Shop
from traffik import Limiter
from traffik.backends.redis import Breaker, Cluster, RedisBackend, Sentinel
from traffik.strategies import SlidingWindow

DEADLINE = 0.2
NEVER = Breaker(failures=10**9)  # the breaker never opens, so that every hit waits by itself


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def deaf():
    """A port where the kernel accepts connections, but no program answers."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one.getsockname()[1]


@pytest.fixture
def full():
    """A port where connecting hangs, since the queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as one:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(one.getsockname())
        yield one.getsockname()[1]
        for each in waiting:
            each.close()


@pytest.fixture
def unopened(way):
    """Makes a store that is not open, whose connection timeout is longer than the deadline of a hit."""
    stores = []

    def unopened(where, strategy=None):
        stores.append(RedisBackend(where, deadline=DEADLINE, breaker=NEVER, changes_within=None))
        return Shop(way, stores[-1], strategy)

    yield unopened
    for store in stores:
        store.close_sync()


def in_time(one, count=12):
    """Assert that concurrent hits, and one after them, end by the deadline and are degraded."""
    for whose in (["ada"] * count, ["eve"]):
        start = time.monotonic()
        answers = one.hits(*whose)
        assert {each.degraded for each in answers} == {"fallback"}
        assert time.monotonic() - start < DEADLINE + BUSY


def test_while_the_server_does_not_reply(deaf, unopened):
    in_time(unopened(f"redis://127.0.0.1:{deaf}"))


def test_while_connecting_hangs(full, unopened):
    in_time(unopened(f"redis://127.0.0.1:{full}"))


def test_while_the_login_hangs(deaf, unopened):
    in_time(unopened(f"redis://user:password@127.0.0.1:{deaf}/3"))


def test_while_tls_hangs(deaf, unopened):
    in_time(unopened(f"rediss://127.0.0.1:{deaf}"))


def test_while_sentinels_hang(deaf, unopened):
    in_time(unopened(Sentinel([f"127.0.0.1:{deaf}"] * 3, "main")))


def test_while_the_nodes_of_a_cluster_hang(deaf, unopened):
    in_time(unopened(Cluster([f"127.0.0.1:{deaf}"])))


def test_while_a_name_is_looked_up(unopened, monkeypatch):
    over = Event()
    look_up = socket.getaddrinfo

    def slow(host, *arguments, **options):
        if host == "slow.example" and not options.get("flags", 0) & socket.AI_NUMERICHOST:
            over.wait(10)
            host = "127.0.0.1"
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        in_time(unopened("redis://slow.example:1"))
        assert [thread.name for thread in threading.enumerate()].count("traffik-lookup") == 1
        assert not any(thread.name.startswith("asyncio_") for thread in threading.enumerate())
    finally:
        over.set()


def test_an_address_that_does_not_answer_leaves_time_for_the_next_one(full, redis_server, shop, monkeypatch):
    look_up = socket.getaddrinfo

    def two(host, port, *arguments, **options):
        ports = (full, redis_server.port) if port == 1 else (port,)
        return [each for port in ports for each in look_up("127.0.0.1", port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    shop("redis://two.example:1").recovered()


def test_with_trio_busy_threads_of_the_application_do_not_delay_a_hit(redis_server):
    over = Event()

    async def main():
        async with anyio.create_task_group() as group:
            for _ in range(int(anyio.to_thread.current_default_thread_limiter().total_tokens)):
                group.start_soon(anyio.to_thread.run_sync, over.wait)
            await anyio.wait_all_tasks_blocked()
            assert (await limiter.hit("ada")).degraded is None
            over.set()

    store = RedisBackend(redis_server.url, deadline=5, changes_within=None)
    limiter = Limiter("trio", "9/day", backend=store)
    anyio.run(main, backend="trio")
    store.close_sync()


def test_a_strategy_in_python_has_one_deadline_for_all_its_steps(proxy, unopened):
    class Mine:
        def decide(self, state, rate, cost, now):
            return SlidingWindow().decide(state, rate, cost, now)

    one = unopened(proxy.url, Mine())
    assert one.hit().degraded is None
    proxy.latency_ms = 150  # this takes two steps
    in_time(one)


def test_a_reply_that_comes_too_slowly_is_not_waited_for(proxy, shop):
    one = shop(deadline=DEADLINE)
    one.hit()
    proxy.garbage(b"*5\r\n:1\r\n")
    decision, seconds = one.timed()
    assert (decision.degraded, DEADLINE / 2 < seconds < DEADLINE + BUSY) == ("fallback", True)


@pytest.mark.anyio
async def test_a_hit_that_is_late_does_not_take_its_neighbours_with_it(proxy):
    async with RedisBackend(proxy.url, deadline=0.6, changes_within=None) as store:
        limiter = Limiter("neighbours", "9/day", backend=store)
        await limiter.hit("ada")
        proxy.latency_ms = 400
        tasks = []
        # The last two are sent together when the first reply is back, and are answered after 0.8 s.
        for pause in (0, 0.05, 0.33):
            await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(limiter.hit("ada")))
        assert [each.degraded for each in await asyncio.gather(*tasks)] == [None, "fallback", None]
        assert proxy.connections == 2  # one connection for the discovery at the start, the others for the hits


def test_many_more_callers_than_connections_are_all_served(proxy, shop):
    one = shop(deadline=20)
    count = 3000 if "Loop" in type(one.way).__name__ else 100
    answers = one.hits(*[f"user:{number % 1000}" for number in range(count)])
    assert {each.degraded for each in answers} == {None}
    assert proxy.open <= 2
    assert proxy.commands["EVALSHA"] < count / 2


def test_many_more_callers_than_connections_all_end_in_time(proxy, shop):
    one = shop(deadline=DEADLINE)
    one.hit()
    proxy.black_hole()
    start = time.monotonic()
    answers = one.hits(*["ada"] * 100)
    assert time.monotonic() - start < DEADLINE + 3 * BUSY  # starting that many threads takes time
    assert [each.degraded for each in answers] == ["fallback"] * 100
    assert min(each.remaining for each in answers) == LIMIT - 100


def test_a_server_without_tls_is_an_error_at_once(proxy, unopened):
    one = unopened(proxy.url.replace("redis://", "rediss://"))
    assert one.hit().degraded == "fallback"
    assert isinstance(one.store.settings.login.tls, ssl.SSLContext)
