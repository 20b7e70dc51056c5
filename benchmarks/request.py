"""What does a hit cost that starts from a request?

`await throttle.hit(request)` under Starlette: find the adapter, the client and the store, decide, and keep the decision
with the connection. The floor is that of a decision, handed the client's address as text. Every hit gets a fresh
request, made outside the timed part; the last line has the making of it in both. Rules ask for the method and the path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter_ns

from decision import AMPLE, sliding_window
from measure import Result, Work, interleaved, judged
from starlette.requests import Request
from starlette.types import Scope

from traffik import HTTPThrottle, Rule
from traffik.backends.inmemory import InMemoryBackend

__all__ = ["TITLE", "measure", "scope_for"]

TITLE = "a hit from a request, to the same arithmetic"
GOAL = 6.0
ROUNDS, HITS = 200, 500


def scope_for(app: object = None) -> Scope:
    """What uvicorn hands over for a small GET request."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("192.0.2.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*")],
        "state": {},
    }
    return scope if app is None else scope | {"app": app}


def measure() -> list[Result]:
    """The hit alone, and with the making of the request."""
    return asyncio.run(_measure())


async def _measure() -> list[Result]:
    backend = InMemoryBackend()
    app = object()
    floor = sliding_window(AMPLE)
    throttle = HTTPThrottle("request", AMPLE)
    applies = HTTPThrottle("applies", AMPLE, rules=[Rule("/api/**"), Rule("/", methods=["GET"])])
    bypassed = HTTPThrottle("bypassed", AMPLE, rules=[Rule("/", bypass=True)])

    async def ours_whole(_: object) -> None:
        await throttle.hit(Request(scope_for(app)))

    async def floor_whole(_: object) -> None:
        await floor(Request(scope_for(app)).scope["client"][0])

    def requests() -> list[Request]:
        return [Request(scope_for(app)) for _ in range(HITS)]

    async with backend.lifespan(app):
        works: dict[str, Work] = {
            "ours": _each(throttle.hit, requests),
            "applies": _each(applies.hit, requests),
            "bypassed": _each(bypassed.hit, requests),
            "floor": _each(floor, lambda: ["192.0.2.1"] * HITS),
            "ours whole": _each(ours_whole, lambda: range(HITS)),
            "floor whole": _each(floor_whole, lambda: range(HITS)),
        }
        times = await interleaved(works, ROUNDS)
    return [
        judged("throttle.hit(request)", times["ours"], times["floor"], GOAL),
        judged("the same where the second of two rules applies", times["applies"], times["floor"], None),
        judged("the same where a rule lets it by", times["bypassed"], times["floor"], None),
        judged("the request made in both", times["ours whole"], times["floor whole"], None),
    ]


def _each(function: Callable[..., Awaitable[object]], arguments: Callable[[], Sequence[object]]) -> Work:
    """Await `function` with each argument; they are made before the clock starts."""

    async def work() -> float:
        made = arguments()
        start = perf_counter_ns()
        for argument in made:
            await function(argument)
        return (perf_counter_ns() - start) / len(made)

    return work
