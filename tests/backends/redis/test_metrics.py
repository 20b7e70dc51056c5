"""The metrics of a Redis store: its batches, its breaker, and the sum over four processes."""

from __future__ import annotations

import asyncio

import pytest

from tests.backends.redis.servers import resolve, server
from tests.events.scraping import exporting
from tests.events.workers import counts_of_four
from traffik import Limiter
from traffik.backends import probes
from traffik.backends.redis import Breaker, RedisBackend


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def one(binary):
    with server(binary=binary) as started:
        yield started


@pytest.fixture
def every_sample(monkeypatch):
    monkeypatch.setattr(probes, "_PAUSE", 0)


async def hit_at_once(store, times):
    async with store:
        limiter = Limiter("mails", "1000/min", backend=store)
        await asyncio.gather(*(limiter.hit(f"client:{number}") for number in range(times)))


def test_batches_and_calls_are_measured(one, every_sample):
    with exporting() as exported:
        asyncio.run(hit_at_once(RedisBackend(one.url, deadline=10), 100))
        scraped = exported.scrape()
    assert scraped["traffik_store_batch_size_sum", "redis"] == 100
    assert scraped["traffik_store_batch_size_count", "redis"] < 50
    assert scraped["traffik_store_duration_seconds_count", "redis"] == 2  # the first two calls in a row are timed


def test_an_open_breaker_is_in_the_metrics(one):
    store = RedisBackend("redis://127.0.0.1:1", breaker=Breaker(failures=1, recovery=60))
    limiter = Limiter("mails", "2/min", backend=store)
    with exporting() as exported:
        before = exported.scrape()["traffik_store_breaker_open", "redis"]
        limiter.sync.hit("ada")
        after = exported.scrape()
    assert (before, after["traffik_store_breaker_open", "redis"]) == (0, 1)
    assert after["traffik_decisions_degraded_total", "fallback", "mails"] == 1


def test_four_processes_show_the_sum(one):
    assert counts_of_four("redis", "RedisBackend", one.url) == (50, 50)
