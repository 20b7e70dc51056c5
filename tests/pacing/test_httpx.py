"""The transports for httpx: opening, closing, threads and shared limiters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from traffik import ConfigurationError, Limiter, SlidingLog
from traffik.pacing.httpx import AsyncPacedTransport, PacedTransport


class Notes:
    """Part of a transport that notes how it is used."""

    def __init__(self):
        self.notes = []


class Sync(Notes, httpx.BaseTransport):
    def handle_request(self, request):
        self.notes.append(request.url.path)
        return httpx.Response(200)

    def __enter__(self):
        self.notes.append("enter")
        return self

    def __exit__(self, *error):
        self.notes.append("exit")

    def close(self):
        self.notes.append("close")


class Async(Notes, httpx.AsyncBaseTransport):
    async def handle_async_request(self, request):
        self.notes.append(request.url.path)
        return httpx.Response(200)

    async def __aenter__(self):
        self.notes.append("enter")
        return self

    async def __aexit__(self, *error):
        self.notes.append("exit")

    async def aclose(self):
        self.notes.append("close")


def test_a_given_transport_is_opened_used_and_closed(limiter):
    inner = Sync()
    with httpx.Client(transport=PacedTransport(limiter, transport=inner)) as client:
        client.get("http://api.test/a")
    assert inner.notes == ["enter", "/a", "exit"]
    client = httpx.Client(transport=PacedTransport(limiter, transport=inner))
    client.close()
    assert inner.notes[3:] == ["close"]


@pytest.mark.anyio
async def test_a_given_async_transport_is_opened_used_and_closed(limiter):
    inner = Async()
    async with httpx.AsyncClient(transport=AsyncPacedTransport(limiter, transport=inner)) as client:
        await client.get("http://api.test/a")
    assert inner.notes == ["enter", "/a", "exit"]
    client = httpx.AsyncClient(transport=AsyncPacedTransport(limiter, transport=inner))
    await client.aclose()
    assert inner.notes[3:] == ["close"]


@pytest.mark.anyio
async def test_a_sync_client_in_an_event_loop_is_an_error_that_suggests_await(limiter):
    transport = PacedTransport(limiter, transport=Sync())
    with pytest.raises(ConfigurationError, match="would block the event loop"):
        transport.handle_request(httpx.Request("GET", "http://api.test/"))


def test_threads_share_a_client_at_the_rate_of_the_limiter(store, clock, pauses):
    limiter = Limiter("slow", "5/min", strategy=SlidingLog(), backend=store)
    began, inner = clock.now, Sync()
    with httpx.Client(transport=PacedTransport(limiter, transport=inner)) as client, ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda place: client.get(f"http://api.test/{place}").status_code, range(30))]
    assert answers == [200] * 30
    assert clock.now - began == 300_000_000


def test_clients_with_one_limiter_share_the_pauses(limiter, pauses):
    refusing = httpx.MockTransport(lambda request: httpx.Response(429, headers={"Retry-After": "5"}))
    for inner in (refusing, Sync()):
        with httpx.Client(transport=PacedTransport(limiter, transport=inner, retries=0)) as client:
            client.get("http://api.test/")
    assert pauses == [5_000_000]
