"""Calls each paced client in the same way, so that one test covers all."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import aiohttp
import anyio
import httpx

from traffik.pacing.aiohttp import pace
from traffik.pacing.httpx import AsyncPacedTransport, PacedTransport


class Call(NamedTuple):
    """A request; its body is bytes, JSON as a dict, or a stream of several pieces."""

    method: str = "GET"
    path: str = "/"
    body: bytes | dict | list | None = None


def call_httpx(address, limiter, calls, together=False, **options):
    with httpx.Client(
        base_url=f"http://{address}", transport=PacedTransport(limiter, **options), trust_env=False
    ) as client:
        return [client.request(call.method, call.path, **httpx_body(call.body, iter)) for call in calls]


def call_httpx_async(backend, address, limiter, calls, together=False, **options):
    async def main():
        transport = AsyncPacedTransport(limiter, **options)
        async with httpx.AsyncClient(
            base_url=f"http://{address}", transport=transport, trust_env=False, timeout=30
        ) as client:
            return await gather(
                [partial(client.request, call.method, call.path, **httpx_body(call.body, flow)) for call in calls],
                together,
            )

    return anyio.run(main, backend=backend)


def call_aiohttp(address, limiter, calls, together=False, **options):
    async def ask(session, call):
        body = flow(call.body) if isinstance(call.body, list) else call.body
        key = "json" if isinstance(body, dict) else "data"
        async with session.request(call.method, call.path, **{key: body}) as answer:
            await answer.read()
            return Answer(answer.status)

    async def main():
        async with aiohttp.ClientSession(f"http://{address}", middlewares=[pace(limiter, **options)]) as session:
            return await gather([partial(ask, session, call) for call in calls], together)

    return anyio.run(main, backend="asyncio")


class Answer(NamedTuple):
    """The parts of a response that the tests check."""

    status_code: int


def httpx_body(body, stream):
    if isinstance(body, list):
        return {"content": stream(body)}
    return {"json": body} if isinstance(body, dict) else {"content": body}


async def flow(pieces):
    for piece in pieces:
        yield piece


async def gather(asks, together):
    """Send requests one after another or concurrently; the responses in the order of the requests."""
    answers = {}

    async def ask(place):
        answers[place] = await asks[place]()

    if together:
        async with anyio.create_task_group() as tasks:
            for place in range(len(asks)):
                tasks.start_soon(ask, place)
    else:
        for place in range(len(asks)):
            await ask(place)
    return [answers[place] for place in range(len(asks))]


CLIENTS = {
    "httpx": call_httpx,
    "httpx-asyncio": partial(call_httpx_async, "asyncio"),
    "httpx-trio": partial(call_httpx_async, "trio"),
    "aiohttp": call_aiohttp,
}
ASYNC = [name for name in CLIENTS if name != "httpx"]
