"""What does each form of a hit cost?

All usual forms, on the in-memory store with a Starlette request, against one baseline: a bare `async def` with the
arithmetic of the default strategy on a dict (`decision.sliding_window`), called with a string. Requests and strings are
made before the clock starts. No form may take much longer than the plain one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

from decision import AMPLE, sliding_window
from measure import Result, Work, awaiting_each, interleaved, judged
from request import scope_for
from starlette.requests import Request

from traffik import HTTPThrottle, Limiter, Rule
from traffik.backends.inmemory import InMemoryBackend
from traffik.identities import api_key

__all__ = ["TITLE", "measure"]

TITLE = "every form of a hit, to the bare arithmetic"
ROUNDS, HITS = 100, 300
CLIENT = "192.0.2.1"


def measure() -> list[Result]:
    """A line for each form."""
    return asyncio.run(_measure())


def _identify(request: Request) -> str:
    return CLIENT


async def _identify_async(request: Request) -> str:
    return CLIENT


def _throttle(uid: str, rate: Any = AMPLE, **options: Any) -> HTTPThrottle[Request]:
    return HTTPThrottle(f"forms:{uid}", rate, **options)


def _limiter_forms() -> dict[str, tuple[float, Work]]:
    limiter = Limiter("forms:limiter", AMPLE)
    sync = limiter.sync
    names = lambda: [CLIENT] * HITS  # noqa: E731 - short, and used twice below
    return {
        'await limiter.hit("id")': (3.0, awaiting_each(limiter.hit, names)),
        'limiter.sync.hit("id")': (3.0, _called(sync.hit, names)),
    }


def _throttle_forms() -> dict[str, tuple[float, Work]]:
    plain = _throttle("plain")
    scoped = _throttle("scoped", context={"scope": "upload"})
    several = _throttle("several", "1000000/min; 100000000/hour")
    ruled = _throttle("ruled", rules=[Rule("/api/**"), Rule("/", methods=["GET"])])
    keyed = _throttle("key", identifier=api_key("X-API-Key", known=["k" * 24]))
    called = {"scope": "upload"}
    sync = plain.sync
    return {
        "await throttle.hit(request)": (4.3, awaiting_each(plain.hit, _requests)),
        "throttle.sync.hit(request)": (4.3, _called(sync.hit, _requests)),
        "with cost=3": (4.5, awaiting_each(lambda request: plain.hit(request, cost=3), _requests)),
        "with a scope by call": (6.0, awaiting_each(lambda request: plain.hit(request, context=called), _requests)),
        "with a scope by default": (6.0, awaiting_each(scoped.hit, _requests)),
        "sync identifier": (5.0, awaiting_each(_throttle("sync", identifier=_identify).hit, _requests)),
        "async identifier": (6.0, awaiting_each(_throttle("async", identifier=_identify_async).hit, _requests)),
        "api_key": (8.0, awaiting_each(keyed.hit, _with_key)),
        "cost function": (5.0, awaiting_each(_throttle("cost", cost=lambda _: 3).hit, _requests)),
        "rate function": (7.0, awaiting_each(_throttle("rate", lambda _: "1000000/min").hit, _requests)),
        "two rates": (8.0, awaiting_each(several.hit, _requests)),
        "rules by path": (7.0, awaiting_each(ruled.hit, _requests)),
        "check": (6.0, awaiting_each(plain.check, _requests)),
        "stat": (8.0, awaiting_each(plain.stat, _requests)),
    }


async def _measure() -> list[Result]:
    async with InMemoryBackend():
        forms = _limiter_forms() | _throttle_forms()
        for _, work in forms.values():  # the first hits look for proxies and shared identities
            await work()
        works = {name: work for name, (_, work) in forms.items()}
        works["floor"] = awaiting_each(sliding_window(AMPLE), lambda: [CLIENT] * HITS)
        times = await interleaved(works, ROUNDS)
    return [judged(name, times[name], times["floor"], goal) for name, (goal, _) in forms.items()]


def _requests() -> list[Request]:
    return [Request(scope_for()) for _ in range(HITS)]


def _with_key() -> list[Request]:
    scope = scope_for()
    scope |= {"headers": [*scope["headers"], (b"x-api-key", b"k" * 24)]}
    return [Request(scope.copy()) for _ in range(HITS)]


def _called(function: Callable[[Any], object], arguments: Callable[[], Sequence[object]]) -> Work:
    """Call `function` with each argument."""

    async def work() -> float:
        made = arguments()
        start = perf_counter_ns()
        for argument in made:
            function(argument)
        return (perf_counter_ns() - start) / len(made)

    return work
