"""While the breaker is open, no commands or connections reach the server."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from tests.backends.redis.servers import resolve, until
from tests.backends.redis.ways import LIMIT
from traffik import Limiter
from traffik.backends.redis import Breaker, RedisBackend

FOR_LONG = 60


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


def traffic(proxy):
    return proxy.connections, proxy.commands.total()


def test_after_enough_failures_it_opens_and_nothing_reaches_the_server(proxy, shop):
    one = shop(deadline=0.1, breaker=Breaker(failures=3, recovery=FOR_LONG))
    proxy.garbage()
    assert [one.hit().degraded for _ in range(3)] == ["fallback"] * 3
    before = traffic(proxy)
    assert {each.degraded for each in one.hits(*["ada"] * 100)} == {"fallback"}
    assert traffic(proxy) == before


def test_a_success_in_between_resets_the_count_of_failures(proxy, shop):
    one = shop(breaker=Breaker(failures=3, recovery=FOR_LONG))
    for _ in range(4):
        proxy.garbage()
        assert [one.hit().degraded for _ in range(2)] == ["fallback"] * 2
        proxy.heal()
        assert one.hit().degraded is None


def test_a_single_probe_tests_the_server(proxy, shop):
    one = shop(breaker=Breaker(failures=1, recovery=0.2), deadline=0.1)
    proxy.garbage()
    one.hit()
    _, before = traffic(proxy)
    until(lambda: one.hit("probe") and traffic(proxy)[1] > before, "a probe to be sent")
    probed = proxy.commands["EVALSHA"], proxy.connections
    assert {each.degraded for each in one.hits(*["ada"] * 50)} == {"fallback"}
    assert (proxy.commands["EVALSHA"], proxy.connections) == probed


def test_a_successful_probe_closes_it_for_all_callers(proxy, shop):
    one = shop(breaker=Breaker(failures=1, recovery=0.05))
    proxy.garbage()
    one.hit()
    proxy.heal()
    one.recovered()
    assert {each.degraded for each in one.hits(*["ada"] * 20)} == {None}
    assert sorted(each.remaining for each in one.hits(*["eve"] * 20)) == list(range(LIMIT - 20, LIMIT))


def test_hits_return_at_once_while_it_is_open(proxy, shop):
    one = shop(deadline=5, breaker=Breaker(failures=1, recovery=FOR_LONG))
    proxy.garbage()
    one.hit()
    proxy.black_hole()
    start = time.monotonic()
    one.hits(*["ada"] * 50)
    assert time.monotonic() - start < 1


def test_each_change_is_logged_once(proxy, shop, caplog):
    caplog.set_level(logging.WARNING, "traffik")
    one = shop(breaker=Breaker(failures=2, recovery=0.05))
    proxy.garbage()
    for _ in range(6):
        one.hit()
    proxy.heal()
    one.recovered()
    text = caplog.text
    assert [
        text.count(each) for each in ("does not answer as it should", "is not called for 0.05 s", "answers again")
    ] == [1] * 3


@pytest.mark.anyio
async def test_a_connection_that_breaks_is_one_failure_however_many_calls_were_under_way(proxy):
    store = RedisBackend(proxy.url, max_batch=8, deadline=30, breaker=Breaker(2, FOR_LONG), changes_within=None)
    async with store:
        limiter = Limiter("calls", "9/day", backend=store)
        await limiter.hit("ada")
        proxy.latency_ms = 20_000
        hits = asyncio.gather(*[limiter.hit("ada") for _ in range(33)])
        await asyncio.to_thread(until, lambda: proxy.commands["EVALSHA"] == 1 + 5, "the calls to be sent")
        proxy.latency_ms = 0
        proxy.reset()
        await hits
        assert (await limiter.hit("ada")).degraded is None


@pytest.mark.anyio
async def test_a_blocked_event_loop_is_no_failure_of_the_server(redis_server, caplog):
    breaker = Breaker(failures=1, recovery=FOR_LONG)
    async with RedisBackend(redis_server.url, deadline=0.1, breaker=breaker, changes_within=None) as store:
        limiter = Limiter("blocked", "9/day", backend=store)
        await limiter.hit("ada")
        hits = asyncio.gather(*[limiter.hit("ada") for _ in range(3)])
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - this is the fault
        assert [each.degraded for each in await hits] == [None, "fallback", "fallback"]
        assert (await limiter.hit("ada")).remaining == 6
    assert "since something blocked the event loop" in caplog.text


def test_a_lost_reply_does_not_open_it_however_many_callers_wait(proxy, shop):
    one = shop(deadline=0.3, breaker=Breaker(failures=3, recovery=FOR_LONG))
    one.hit()
    proxy.drop_next_reply()
    one.hits(*["ada"] * 20)
    assert one.store._circuit.closed


def test_a_log_that_fails_keeps_nobody_waiting(proxy, shop, monkeypatch):
    class Failing(logging.Handler):
        def emit(self, record):
            raise OSError("the disk is full")

    monkeypatch.setattr(logging.getLogger("traffik.backends.redis"), "handlers", [Failing()])
    one = shop(deadline=0.1)
    proxy.black_hole()
    assert [one.hit().degraded for _ in range(2)] == ["fallback"] * 2
    proxy.heal()
    one.recovered()
