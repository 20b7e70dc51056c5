"""How long do a throttled route and a refusal take?

An empty Starlette route, called as a server calls it, is compared with the same route with `await
throttle.hit(request)` in it and `ThrottleMiddleware` around it, which writes the RateLimit fields into every response.
It is also compared with a refusal by the middleware, which never reaches the route.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from decision import AMPLE, SPENT
from measure import Result, Work, interleaved, judged
from request import scope_for
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import ThrottleMiddleware

__all__ = ["TITLE", "measure"]

TITLE = "a Starlette route, to the same one empty"
ROUNDS, CALLS = 200, 100

route_throttle = HTTPThrottle("route", AMPLE)
outer_throttle = HTTPThrottle("outer", AMPLE)
spent_throttle = HTTPThrottle("spent", SPENT)


async def bare(request: Request) -> Response:
    return PlainTextResponse("ok")


async def throttled(request: Request) -> Response:
    await route_throttle.hit(request)
    return PlainTextResponse("ok")


APPS = {
    "bare": Starlette(routes=[Route("/", bare)]),
    "hit": Starlette(routes=[Route("/", throttled)]),
    "hit and headers": Starlette(routes=[Route("/", throttled)], middleware=[Middleware(ThrottleMiddleware)]),
    "middleware": Starlette(routes=[Route("/", bare)], middleware=[Middleware(ThrottleMiddleware, outer_throttle)]),
    "refusal": Starlette(routes=[Route("/", bare)], middleware=[Middleware(ThrottleMiddleware, spent_throttle)]),
}
STATUS = dict.fromkeys(APPS, 200) | {"refusal": 429}


def measure() -> list[Result]:
    """The route with hit and middleware, with each of them alone, and then a refusal."""
    return asyncio.run(_measure())


async def _measure() -> list[Result]:
    async with InMemoryBackend():
        await answered(APPS["refusal"])  # spends the quota of one request
        for name, app in APPS.items():
            start = (await answered(app))[0]
            fields = {field for field, _ in start["headers"]}
            assert start["status"] == STATUS[name], f"{name}: answered {start}"
            assert (b"ratelimit" in fields) is (name not in {"bare", "hit"}), f"{name}: answered {start}"
        times = await interleaved({name: _calls(app) for name, app in APPS.items()}, ROUNDS)
    return [
        judged("hit in the route, headers by the middleware", times["hit and headers"], times["bare"], 1.25),
        judged("hit in the route alone", times["hit"], times["bare"], None),
        judged("hit and headers by the middleware", times["middleware"], times["bare"], None),
        judged("refusal by the middleware", times["refusal"], times["bare"], 1.0),
    ]


def _calls(app: Starlette) -> Work:
    async def work() -> float:
        scopes = [scope_for() for _ in range(CALLS)]
        start = perf_counter_ns()
        for scope in scopes:
            await app(scope, _receive, _send)
        return (perf_counter_ns() - start) / CALLS

    return work


async def answered(app: Starlette) -> list[Message]:
    """The messages that `app` sends for one request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope_for(), _receive, send)
    return sent


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    pass
