"""How many hits per second does the store in Redis handle, and how much CPU and server memory do they take?

A number of concurrent callers of `await limiter.hit(...)` on the store in Redis is compared with the same number of
callers of a plain redis-py `evalsha` of the same script for one hit, whose result is not used. Both run in turns of
half a second in this process, with their own server on the loopback interface. The server counts commands, and this
process measures its CPU time. "One key" is one key for all callers. Otherwise each caller has its own key.

The memory of a key is that of 100,000 keys, compared with as many plain string keys with the same names and a time to
live.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, TypeAlias

import redis.asyncio
from measure import Result, rotated, spread
from request import scope_for
from starlette.requests import Request

from traffik import GCRA, FixedWindow, HTTPThrottle, Limiter, Rule, SlidingLog, SlidingWindow
from traffik.backends.redis import Cluster, DenyCache, RedisBackend
from traffik.backends.redis.script import CHARGE, SCRIPT, Operation, arguments

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.backends.redis.clusters import cluster
from tests.backends.redis.servers import Server, server

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["TITLE", "measure"]

TITLE = "the store in Redis, to a bare redis-py EVALSHA of the same script"
ROUNDS, SECONDS = 5, 0.5
AMPLE, SPENT = "10000000/min", "1/day"
KEYS = 100_000
PATIENCE = 30.0  # s, long enough that the error policy never decides

Hit: TypeAlias = Callable[[int], Awaitable[object]]
"""One hit of the caller of that number."""


@dataclass(frozen=True, slots=True)
class Run:
    """The results of callers in one turn: hits per second, µs of CPU per hit, commands per hit, and waits in ms."""

    rate: float
    cpu: float
    commands: float
    median: float
    tail: float


def measure() -> list[Result]:
    """Throughput by callers, then the cluster, the deny cache, and memory."""
    with server() as one, cluster() as three:
        return asyncio.run(_measured(one, three.url)) + _memory(one)


async def _measured(one: Server, cluster_url: str) -> list[Result]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_store(one.url))
        cached = await stack.enter_async_context(_store(one.url, deny_cache=DenyCache(staleness=60)))
        fleet = await stack.enter_async_context(_store(Cluster([cluster_url.partition("//")[2].partition("/")[0]])))
        client = redis.asyncio.Redis.from_url(one.url, max_connections=10_000)
        stack.push_async_callback(client.aclose)
        lines = await _one_caller(one, store, client)
        for callers, goal in ((16, 3), (128, 6), (512, 8)):
            lines += await _many_callers(one, store, client, callers, goal)
        lines += await _forms(one, store, client)
        lines += await _crowd(one, store)
        lines += await _on_cluster(one, store, fleet)
        lines += await _denied(one, store, cached)
    return lines


async def _one_caller(one: Server, store: RedisBackend, client: Redis) -> list[Result]:
    lines: list[Result] = []
    for strategy in (SlidingWindow(), FixedWindow(), GCRA(), SlidingLog()):
        rate = "10000/s" if isinstance(strategy, SlidingLog) else AMPLE
        limiter = Limiter(f"one:{type(strategy).__name__}", rate, strategy=strategy, backend=store)
        works = {"ours": _hits(limiter), "bare": _bare(client, limiter)}
        runs = await _runs(one, works, 1)
        lines.append(_ratio(f"1 caller, {type(strategy).__name__}", runs, 0.95))
        lines.append(_figure("  commands a hit", [run.commands for run in runs["ours"]], 1.0, ""))
    return lines


async def _many_callers(one: Server, store: RedisBackend, client: Redis, callers: int, goal: float) -> list[Result]:
    limiter = Limiter("many", AMPLE, backend=store)
    works = {"ours": _hits(limiter), "one key": _hits(limiter, hot=True), "bare": _bare(client, limiter)}
    runs = await _runs(one, works, callers)
    lines = [
        _ratio(f"{callers} callers", runs, goal),
        _ratio(f"{callers} callers of one key", runs, goal, ours="one key"),
    ]
    if callers == 128:
        lines.append(_figure("  CPU a hit", [run.cpu for run in runs["ours"]], 12, "µs"))
        lines.append(_figure("  CPU a hit, the bare loop", [run.cpu for run in runs["bare"]], None, "µs"))
        lines.append(_figure("  commands a hit", [run.commands for run in runs["ours"]], 0.1, ""))
    if callers == 512:
        lines.append(_figure("  slowest of a hundred hits, to the median", _tails(runs["ours"]), 3, "×"))
    return lines


async def _forms(one: Server, store: RedisBackend, client: Redis) -> list[Result]:
    """All usual forms of a hit, by 128 callers with a Starlette request."""

    async def identify(request: Request) -> str:
        return str(request.scope["client"][0])

    def made(uid: str, rate: Any = AMPLE, **options: Any) -> HTTPThrottle[Request]:
        return HTTPThrottle(f"form:{uid}", rate, backend=store, **options)

    forms = {
        "an async identifier": made("identifier", identifier=identify),
        "a scope": made("scope", context={"scope": "upload"}),
        "a cost function": made("cost", cost=lambda _: 1),
        "a rate function": made("rate", lambda _: AMPLE),
        "two rates": made("two", "10000000/min; 100000000/hour"),
        "rules": made("rules", rules=[Rule("/api/**"), Rule("/", methods=["GET"])]),
    }
    works = {name: _requests(throttle) for name, throttle in forms.items()}
    runs = await _runs(one, {**works, "bare": _bare(client, Limiter("forms", AMPLE, backend=store))}, 128)
    return [_ratio(f"128 callers, {name}", runs, 5, ours=name) for name in forms]


def _requests(throttle: HTTPThrottle[Request]) -> Hit:
    scope = scope_for()

    async def hit(caller: int) -> object:
        return await throttle.hit(Request({**scope, "client": (f"10.0.0.{caller}", 1)}))

    return hit


async def _crowd(one: Server, store: RedisBackend) -> list[Result]:
    """5,000 concurrent callers, compared with 512, to show that throughput does not collapse."""
    limiter = Limiter("crowd", AMPLE, backend=store)
    works = {"5,000": _hits(limiter), "512": _hits(limiter)}
    runs: dict[str, list[Run]] = {name: [] for name in works}
    for turn in range(ROUNDS):
        for name in rotated(list(works), turn):
            runs[name].append(await _run(one, works[name], int(name.replace(",", "")), 2 * SECONDS))
    return [
        _ratio("5,000 callers, to 512 of ours", runs, None, ours="5,000", floor="512"),
        _figure("  slowest of a hundred hits, to the median", _tails(runs["5,000"]), 3, "×"),
    ]


async def _on_cluster(one: Server, store: RedisBackend, fleet: RedisBackend) -> list[Result]:
    single, several = Limiter("nodes", AMPLE, backend=store), Limiter("nodes", AMPLE, backend=fleet)
    runs = await _runs(one, {"ours": _hits(several), "single": _hits(single)}, 128)
    return [_ratio("128 callers on a cluster of 3, to one server", runs, 0.6, floor="single")]


async def _denied(one: Server, store: RedisBackend, cached: RedisBackend) -> list[Result]:
    with_cache, without = Limiter("denied", SPENT, backend=cached), Limiter("denied", SPENT, backend=store)
    lines: list[Result] = []
    for callers, goal in ((1, 20), (128, None)):
        runs = await _runs(one, {"ours": _hits(with_cache, hot=True), "without": _hits(without, hot=True)}, callers)
        lines.append(_ratio(f"a flooded key with the deny cache, {callers} callers", runs, goal, floor="without"))
    return lines


def _store(where: object, **options: Any) -> RedisBackend:
    return RedisBackend(where, deadline=PATIENCE, on_error="raise", **options)


def _hits(limiter: Limiter, *, hot: bool = False) -> Hit:
    async def hit(caller: int) -> object:
        return await limiter.hit("hot" if hot else f"caller:{caller}")

    return hit


def _bare(client: Redis, limiter: Limiter) -> Hit:
    key = f"traffik:{limiter.uid}:{{bare}}"
    command = [SCRIPT.digest, *arguments([Operation(key, CHARGE, limiter.own_plan, 1)])]

    async def hit(caller: int) -> object:
        return await client.evalsha(*command)

    return hit


async def _runs(one: Server, works: dict[str, Hit], callers: int) -> dict[str, list[Run]]:
    """Every work in turns; the first turn warms up."""
    runs: dict[str, list[Run]] = {name: [] for name in works}
    for turn in range(ROUNDS + 1):
        for name in rotated(list(works), turn):
            run = await _run(one, works[name], callers, SECONDS)
            if turn:
                runs[name].append(run)
    return runs


async def _run(one: Server, hit: Hit, callers: int, seconds: float) -> Run:
    waits: list[float] = []
    gc.collect()
    before, cpu, start = _commands(one), process_time(), perf_counter()
    end = start + seconds

    async def call(caller: int) -> None:
        began = start
        while began < end:
            await hit(caller)
            now = perf_counter()
            waits.append(now - began)
            began = now

    await asyncio.gather(*map(call, range(callers)))
    took, cpu, commands = perf_counter() - start, process_time() - cpu, _commands(one) - before
    count = len(waits)
    waits.sort()
    return Run(
        count / took, cpu / count * 1e6, commands / count, waits[count // 2] * 1e3, waits[count * 99 // 100] * 1e3
    )


def _commands(one: Server) -> int:
    return int(one.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def _ratio(
    subject: str, runs: dict[str, list[Run]], goal: float | None, *, ours: str = "ours", floor: str = "bare"
) -> Result:
    shares = [one.rate / other.rate for one, other in zip(runs[ours], runs[floor], strict=True)]
    detail = " : ".join(f"{median(run.rate for run in runs[name]):,.0f}/s" for name in (ours, floor))
    return Result(subject, *spread(shares), goal=goal, at_least=True, detail=detail)


def _figure(subject: str, values: list[float], goal: float | None, unit: str) -> Result:
    return Result(subject, *spread(values), unit, goal)


def _tails(runs: list[Run]) -> list[float]:
    return [run.tail / run.median for run in runs]


def _memory(one: Server) -> list[Result]:
    lines: list[Result] = []
    bare = _held(one, lambda keys: [("SET", key, "1", "PX", "600000") for key in keys])
    lines.append(Result("a plain string key", bare, bare, bare, "B"))
    for strategy in (SlidingWindow(), FixedWindow(), GCRA()):
        # A long period, so that no key expires before it is measured.
        limiter = Limiter(f"memory:{type(strategy).__name__}", "100/hour", strategy=strategy)

        def calls(keys: list[str], plan: Any = limiter.own_plan) -> list[tuple[str | bytes, ...]]:
            return [("EVALSHA", SCRIPT.digest, *arguments([Operation(key, CHARGE, plan, 1)])) for key in keys]

        held = _held(one, calls)
        lines.append(Result(f"a key of {type(strategy).__name__}", held, held, held, "B", 100))
    return lines


def _held(one: Server, commands: Callable[[list[str]], list[tuple[str | bytes, ...]]]) -> float:
    """Bytes a key that a server holds more for it."""
    keys = [f"traffik:api:{{user:{number}}}" for number in range(KEYS)]
    with one.client() as client:
        client.execute_command("FLUSHALL", "SYNC")
        before = client.info("memory")["used_memory"]
        for place in range(0, KEYS, 1000):
            pipeline = client.pipeline(transaction=False)
            for command in commands(keys[place : place + 1000]):
                pipeline.execute_command(*command)
            pipeline.execute()
        return float(client.info("memory")["used_memory"] - before) / KEYS
