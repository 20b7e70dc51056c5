"""What does a hit cost that starts from a request?

`await throttle.hit(request)` under Starlette: find the adapter, the client and the store, decide, and keep the decision
with the connection. The baseline is that of a decision, called with the client's address as text. Every hit gets a new
request, made outside of the timed part. The second-last line includes making the request in both. Rules read the method
and the path. The last line compares a hit through a trusted proxy, which reads one address in X-Forwarded-For, with a
direct one.
"""

from __future__ import annotations

import asyncio

from decision import AMPLE, sliding_window
from measure import Result, Work, awaiting_each, interleaved, judged
from starlette.requests import Request
from starlette.types import Scope

from traffik import HTTPThrottle, Rule
from traffik.backends.inmemory import InMemoryBackend
from traffik.identities import address

__all__ = ["TITLE", "measure", "scope_for"]

TITLE = "a hit from a request, to the same arithmetic"
GOAL = 6.0
ROUNDS, HITS = 200, 500


def scope_for(app: object = None) -> Scope:
    """The scope of a small GET request, as uvicorn makes it."""
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
    """The hit alone, with the making of the request, and behind a proxy."""
    return asyncio.run(_measure())


async def _measure() -> list[Result]:
    backend = InMemoryBackend()
    app = object()
    floor = sliding_window(AMPLE)
    throttle = HTTPThrottle("request", AMPLE)
    behind = HTTPThrottle("request behind", AMPLE, identifier=address(["10.0.0.0/8"]))
    applies = HTTPThrottle("applies", AMPLE, rules=[Rule("/api/**"), Rule("/", methods=["GET"])])
    bypassed = HTTPThrottle("bypassed", AMPLE, rules=[Rule("/", bypass=True)])

    async def ours_whole(_: object) -> None:
        await throttle.hit(Request(scope_for(app)))

    async def floor_whole(_: object) -> None:
        await floor(Request(scope_for(app)).scope["client"][0])

    def requests() -> list[Request]:
        return [Request(scope_for(app)) for _ in range(HITS)]

    def passed_on() -> list[Request]:
        scope = scope_for(app)
        scope |= {"client": ("10.0.0.1", 50000), "headers": [*scope["headers"], (b"x-forwarded-for", b"192.0.2.1")]}
        return [Request(scope.copy()) for _ in range(HITS)]

    async with backend.lifespan(app):
        works: dict[str, Work] = {
            "ours": awaiting_each(throttle.hit, requests),
            "applies": awaiting_each(applies.hit, requests),
            "bypassed": awaiting_each(bypassed.hit, requests),
            "floor": awaiting_each(floor, lambda: ["192.0.2.1"] * HITS),
            "ours whole": awaiting_each(ours_whole, lambda: range(HITS)),
            "floor whole": awaiting_each(floor_whole, lambda: range(HITS)),
            "behind": awaiting_each(behind.hit, passed_on),
        }
        times = await interleaved(works, ROUNDS)
    return [
        judged("throttle.hit(request)", times["ours"], times["floor"], GOAL),
        judged("the same where the second of two rules applies", times["applies"], times["floor"], None),
        judged("the same where a rule lets it by", times["bypassed"], times["floor"], None),
        judged("the request made in both", times["ours whole"], times["floor whole"], None),
        judged("throttle.hit(request) behind a proxy, to one without", times["behind"], times["ours"], None),
    ]
