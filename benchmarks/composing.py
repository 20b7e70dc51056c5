"""What does one decision over three throttles cost, and a reservation that is settled?

`AllOf.hit` of three throttles, to a hit of one of them: in memory with a Starlette request, and on one Redis server
by one caller and by 16, each with different keys. Below it are the same three as separate hits. A reservation is
taken and committed with a lower cost, to a hit of the estimate. How many commands that is, the server counts.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from measure import Result, Work, awaiting_each, interleaved, judged
from request import scope_for
from starlette.requests import Request

from traffik import AllOf, HTTPThrottle, Limiter, hit_all
from traffik.backends.base import Backend
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.redis import RedisBackend

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.backends.redis.servers import Server, server

__all__ = ["TITLE", "measure"]

TITLE = "three throttles in one decision and a settled reservation, to one hit"
AMPLE = "10000000/min"
ROUNDS, HITS = 100, 50
REDIS_ROUNDS, REDIS_HITS = 60, 40
PATIENCE = 30.0  # s, long enough that the error policy never decides

Form = Callable[[Request], Awaitable[object]]


def measure() -> list[Result]:
    """In memory, and on one Redis server."""
    with server() as one:
        return asyncio.run(_in_memory()) + asyncio.run(_on_redis(one))


def _forms(store: Backend) -> dict[str, Form]:
    one, *three = (HTTPThrottle(f"composing:{number}", AMPLE, backend=store) for number in range(4))
    together = AllOf(*three)

    async def separately(request: Request) -> None:
        for throttle in three:
            await throttle.hit(request)

    async def reserve(request: Request) -> None:
        async with one.reserve(request, cost=3) as reservation:
            await reservation.commit(2)

    async def listed(request: Request) -> None:
        await hit_all(request, *three)

    return {"one": one.hit, "three": together.hit, "listed": listed, "separate": separately, "reserved": reserve}


async def _in_memory() -> list[Result]:
    forms = _forms(InMemoryBackend())
    works = {name: awaiting_each(form, _requests) for name, form in forms.items()}
    for work in works.values():
        await work()
    times = await interleaved(works, ROUNDS)
    return [
        judged("memory, AllOf.hit of three", times["three"], times["one"], 2.2),
        judged("memory, hit_all of three", times["listed"], times["one"], None),
        judged("memory, three separate hits", times["separate"], times["one"], None),
        judged("memory, reserve and commit", times["reserved"], times["one"], None),
    ]


async def _on_redis(one: Server) -> list[Result]:
    lines: list[Result] = []
    async with RedisBackend(one.url, deadline=PATIENCE, on_error="raise") as store:
        forms = _forms(store)
        for callers in (1, 16):
            times = await interleaved({name: _called(form, callers) for name, form in forms.items()}, REDIS_ROUNDS)
            who = f"Redis, {callers} caller{'s' * (callers > 1)}"
            lines += [
                judged(f"{who}, AllOf.hit of three", times["three"], times["one"], 1.3),
                judged(f"{who}, three separate hits", times["separate"], times["one"], None),
                judged(f"{who}, reserve and commit", times["reserved"], times["one"], None),
            ]
        return [*lines, await _commands(one, store)]


async def _commands(one: Server, store: RedisBackend) -> Result:
    """The number of script calls of a reservation and its commit."""
    limiter, count = Limiter("composing:commands", AMPLE, backend=store), 50
    before = _scripts(one)
    for _ in range(count):
        async with limiter.reserve("ada", cost=3) as reservation:
            await reservation.commit(2)
    commands = (_scripts(one) - before) / count
    return Result("  commands of reserve and commit", commands, commands, commands, "", 2.0)


def _scripts(one: Server) -> int:
    stats: dict[str, Any] = one.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("eval", "evalsha"))


def _requests() -> list[Request]:
    return [Request(scope_for()) for _ in range(HITS)]


def _called(form: Form, callers: int) -> Work:
    """Call `form` by concurrent callers, each for a different client."""

    async def calls(caller: int) -> None:
        for _ in range(REDIS_HITS):
            await form(Request({**scope_for(), "client": (f"10.0.0.{caller}", 1)}))

    async def work() -> float:
        start = perf_counter_ns()
        await asyncio.gather(*(calls(caller) for caller in range(callers)))
        return (perf_counter_ns() - start) / (callers * REDIS_HITS)

    return work
