"""How many hits a second does one very hot key take with slices, and how much of the limit can then not be used?

Concurrent callers of `await limiter.hit(...)` on one key: with slices, to the store in Redis alone, which batches their
hits. Both run in turns of half a second in this process, on one server on the loopback interface. The CPU time of a hit
is that of this process and of the server. What the server counts as calls shows how seldom it is asked.

For the unusable part, eight processes hit one key as fast as they can, with ten million an hour. When the first of them
is refused, the units that no hit has spent are those that the others have in their slices. In a second run, six of
the eight stop in the middle, so that their last slices stay unspent.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from measure import Result, rotated, spread

from traffik import Limiter
from traffik.backends.redis import RedisBackend
from traffik.backends.slices import SlicedBackend

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.backends.redis.servers import Server, server

__all__ = ["TITLE", "measure"]

TITLE = "one hot key with slices, to the batched hits of the store in Redis"
ROUNDS, SECONDS = 5, 0.5
AMPLE = "1000000000/min"
SCARCE, QUOTA = "1000000/hour", 1_000_000
PROCESSES = 8
PATIENCE = 30.0  # s; what is measured here is speed, with the error policy out of the way


@dataclass(frozen=True, slots=True)
class Run:
    """The results of callers in one turn: hits per second, µs of CPU per hit, and calls to the server per hit."""

    rate: float
    cpu: float
    calls: float


def measure() -> list[Result]:
    """Speed by callers, then what cannot be used."""
    with server() as one:
        lines = asyncio.run(_speed(one))
        for name, quitters in (("all hit as fast as they can", 0), ("six stop half-way", 6)):
            shares = [_unused(one.url, f"{quitters}:{turn}", quitters) * 100 for turn in range(3)]
            lines.append(Result(f"unusable at {PROCESSES} processes, {name}", *spread(shares), "%", 1.0))
    return lines


async def _speed(one: Server) -> list[Result]:
    lines: list[Result] = []
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(_store(one.url, "plain"))
        sliced = await stack.enter_async_context(SlicedBackend(_store(one.url, "sliced")))
        works = {name: Limiter("hot", AMPLE, backend=store) for name, store in (("ours", sliced), ("batched", plain))}
        for callers in (1, 16, 128):
            runs: dict[str, list[Run]] = {name: [] for name in works}
            for turn in range(ROUNDS + 1):
                for name in rotated(list(works), turn):
                    run = await _run(one, works[name], callers)
                    if turn:
                        runs[name].append(run)
            who = f"{callers} caller{'s' * (callers > 1)}"
            lines.append(_ratio(f"{who}, hits a second", runs, "rate", 10, "/s"))
            lines.append(_ratio("  CPU of both, batched to sliced", runs, "cpu", None, " µs"))
            lines.append(Result("  calls a hit", *spread([run.calls for run in runs["ours"]]), ""))
    return lines


def _store(url: str, namespace: str) -> RedisBackend:
    return RedisBackend(url, namespace=namespace, deadline=PATIENCE, on_error="raise")


async def _run(one: Server, limiter: Limiter, callers: int) -> Run:
    gc.collect()
    calls, there, cpu, start = _calls(one), _cpu(one), process_time(), perf_counter()
    end, hits = start + SECONDS, 0

    async def call() -> None:
        nonlocal hits
        while perf_counter() < end:
            await limiter.hit("hot")
            hits += 1

    await asyncio.gather(*(call() for _ in range(callers)))
    took, cpu = perf_counter() - start, process_time() - cpu
    return Run(hits / took, (cpu + _cpu(one) - there) / hits * 1e6, (_calls(one) - calls) / hits)


def _calls(one: Server) -> int:
    return int(one.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def _cpu(one: Server) -> float:
    seconds = one.info("cpu")
    return float(seconds["used_cpu_user"]) + float(seconds["used_cpu_sys"])


def _ratio(subject: str, runs: dict[str, list[Run]], field: str, goal: float | None, unit: str) -> Result:
    pairs = [[getattr(run, field) for run in pair] for pair in zip(runs["ours"], runs["batched"], strict=True)]
    shares = [ours / other if field == "rate" else other / ours for ours, other in pairs]
    middle = [spread([pair[place] for pair in pairs])[0] for place in (0, 1)]
    detail = " : ".join(f"{value:,.0f}{unit}" if value > 100 else f"{value:.2f}{unit}" for value in middle)
    return Result(subject, *spread(shares), goal=goal, at_least=True, detail=detail)


def _unused(url: str, uid: str, quitters: int) -> float:
    """The part of the quota that is not spent when the first process is refused."""
    context = multiprocessing.get_context("spawn")
    workers: list[tuple[Any, Connection]] = []
    for number in range(PROCESSES):
        here, there = context.Pipe()
        most = QUOTA // 20 if number < quitters else QUOTA
        workers.append((context.Process(target=_spend, args=(url, uid, most, there), daemon=True), here))
        workers[-1][0].start()
    for _, pipe in workers:
        pipe.recv()
    for _, pipe in workers:
        pipe.send("go")
    spent, refusals = zip(*(pipe.recv() for _, pipe in workers), strict=True)
    first = min(refusal for refusal in refusals if refusal)
    for process, _ in workers:
        process.kill()
    return 1 - sum(sum(count for at, count in times if at <= first) for times in spent) / QUOTA


def _spend(url: str, uid: str, most: int, pipe: Connection) -> None:
    """Hit until refused, or for `most` hits; send when how many hits were admitted, and when the refusal came."""
    store = SlicedBackend(_store(url, "unused"))
    hit = Limiter(uid, SCARCE, backend=store).sync.hit
    pipe.send("ready")
    pipe.recv()
    times: list[tuple[int, int]] = []
    refused = 0
    for _ in range(most):
        if not hit("hot"):
            refused = time.monotonic_ns()
            break
        times.append((time.monotonic_ns(), 1))
    pipe.send((times, refused))
    pipe.recv()
