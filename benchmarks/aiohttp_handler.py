"""What does a hit add to an aiohttp handler?

A handler that answers a short text, called with a request as its server makes one, with `await throttle.hit(request)`
in it and without. The result is the difference within a round. The baseline is that of a decision, called with the
client's address as text. Every call gets a new request, made outside of the timed part.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from decision import AMPLE, sliding_window
from measure import Result, Work, awaiting_each, interleaved, judged
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

__all__ = ["TITLE", "measure"]

TITLE = "what a hit adds to an aiohttp handler, to the same arithmetic"
GOAL = 7.0
ROUNDS, CALLS = 200, 500
PEER = "192.0.2.1"

throttle = HTTPThrottle("aiohttp", AMPLE)


async def bare(request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def throttled(request: web.Request) -> web.Response:
    await throttle.hit(request)
    return web.Response(text="ok")


def measure() -> list[Result]:
    """The time that the hit adds, and the ratio of the handler with it to the one without."""
    return asyncio.run(_measure())


async def _measure() -> list[Result]:
    floor = sliding_window(AMPLE)
    async with InMemoryBackend():
        works: dict[str, Work] = {
            "bare": awaiting_each(bare, requests),
            "throttled": awaiting_each(throttled, requests),
            "floor": awaiting_each(floor, lambda: [PEER] * CALLS),
        }
        times = await interleaved(works, ROUNDS)
    added = [one - other for one, other in zip(times["throttled"], times["bare"], strict=True)]
    return [
        judged("added by throttle.hit(request), to the floor", added, times["floor"], GOAL),
        judged("handler with the hit, to the one without", times["throttled"], times["bare"], None),
    ]


def requests() -> list[web.Request]:
    """Small GET requests, as aiohttp's server makes them."""
    loop = asyncio.get_running_loop()
    protocol: Any = SimpleNamespace(
        transport=None, ssl_context=None, peername=(PEER, 50_000), sockname=("127.0.0.1", 8000)
    )
    headers = CIMultiDictProxy(CIMultiDict({"Host": "127.0.0.1:8000", "Accept": "*/*"}))
    message = RawRequestMessage(
        "GET", "/", HttpVersion11, headers, (), False, None, upgrade=False, chunked=False, url=URL("/")
    )
    rest: Any = None  # body and task, which are not used
    return [
        web.Request(message, rest, protocol, StreamWriter(protocol, loop), rest, loop, client_max_size=1024**2)
        for _ in range(CALLS)
    ]
