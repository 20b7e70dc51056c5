"""How long does a hit in LMDB take, how do several processes scale, and for how long does a hit block an event loop?

`await limiter.hit(...)` on the store in LMDB, in a directory on memory-backed storage, against the same on the store in
memory, in turns in this process. The processes are forks of this one. Each hits its own keys for a while, one process
and several in turns. Two processes with the in-memory store show how much a second processor adds on this machine. If
there are turns in which each process had a processor to itself, only these count. Redis runs on the loopback interface,
and has one caller.

A hit blocks the loop for as long as one of its steps takes: trying to lock the file, and using it. This is measured in
CPU time, since with more processes than processors each process also waits for a processor, with or without hits.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import perf_counter, process_time, thread_time
from typing import Any

from measure import Result, awaiting, interleaved, judged, rotated, spread

from traffik import GCRA, FixedWindow, Limiter, SlidingLog, SlidingWindow
from traffik.backends.base import Backend
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.redis import RedisBackend

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.backends.redis.servers import server

__all__ = ["TITLE", "measure"]

TITLE = "the store in LMDB, to the one in memory and the one in Redis"
ROUNDS, HITS = 200, 150
TURNS, SECONDS = 25, 0.15
CALM = 0.9  # share of a processor; below it, other processes have used the rest
AMPLE, SPENT = "1000000000/min", "1/day"
PATIENCE = 10.0  # s, long enough that the error policy never decides
KEYS = 100_000


@dataclass(frozen=True, slots=True)
class Run:
    """The results of callers in one turn.

    Attributes:
        rate: hits a second.
        tail: the longest of a hundred steps, µs of CPU.
        share: the part of a processor that each has had.
    """

    rate: float
    tail: float
    share: float


def measure() -> list[Result]:
    """One process, then several, then Redis, then memory."""
    with _directory() as directory:
        return [
            *asyncio.run(_one_process(directory)),
            *_several_processes(directory),
            *asyncio.run(_beside_redis(directory)),
            _memory(directory),
        ]


async def _one_process(directory: Path) -> list[Result]:
    lines: list[Result] = []
    async with _lmdb(directory) as store, InMemoryBackend() as memory:
        for strategy in (SlidingWindow(), FixedWindow(), GCRA(), SlidingLog()):
            rate = "1000/s" if isinstance(strategy, SlidingLog) else AMPLE
            hits = [Limiter(f"one:{strategy}", rate, strategy=strategy, backend=each).hit for each in (store, memory)]
            works = dict(zip(("ours", "memory"), [awaiting(hit, "client", HITS) for hit in hits], strict=True))
            times = await interleaved(works, ROUNDS)
            goal = None if isinstance(strategy, SlidingLog) else 6.0
            lines.append(judged(f"a hit, {type(strategy).__name__}", times["ours"], times["memory"], goal))
        hits = [Limiter("refused", SPENT, backend=each).hit for each in (store, memory)]
        works = dict(zip(("ours", "memory"), [awaiting(hit, "client", HITS) for hit in hits], strict=True))
        times = await interleaved(works, ROUNDS)
        lines.append(judged("a hit that is refused", times["ours"], times["memory"], 6.0))
    return lines


def _several_processes(directory: Path) -> list[Result]:
    with _fleet(8, directory) as fleet, _fleet(2, None) as alone:
        runs: dict[str, list[Run]] = {name: [] for name in ("1", "2", "4", "8", "memory 1", "memory 2")}
        for turn in range(TURNS + 1):
            for name in rotated(list(runs), turn):
                workers = (alone if "memory" in name else fleet)[: int(name[-1])]
                run = _together(workers)
                if turn:
                    runs[name].append(run)
        lines = [_beside(f"{count} processes, to one", runs[count], runs["1"], goal) for count, goal in _GOALS.items()]
        lines.append(_beside("  2 processes of the store in memory, to one", runs["memory 2"], runs["memory 1"], None))
        for count in (1, 2, 4, 8):
            tails = [run.tail for run in runs[str(count)]]
            lines.append(Result(f"  a loop is kept, {count} processes: longest of 100 steps", *spread(tails), "µs"))
        return lines


_GOALS = {"2": 1.2, "4": None, "8": None}


def _beside(subject: str, ours: list[Run], floor: list[Run], goal: float | None) -> Result:
    """The ratio of two kinds of runs, over the turns that nothing else disturbed, if there are some."""
    pairs = list(zip(ours, floor, strict=True))
    calm = [(one, other) for one, other in pairs if min(one.share, other.share) >= CALM]
    chosen = calm if len(calm) >= 3 else pairs
    rates = [[run.rate for run in runs] for runs in zip(*chosen, strict=True)]
    result = _ratio(subject, rates[0], rates[1], goal)
    return replace(result, detail=f"{result.detail}; {len(calm)} of {len(pairs)} turns calm")


async def _beside_redis(directory: Path) -> list[Result]:
    rates: dict[str, list[float]] = {"lmdb": [], "redis": []}
    with server() as one:
        async with _lmdb(directory) as store, RedisBackend(one.url, on_error="raise", deadline=PATIENCE) as fleet:
            for turn in range(TURNS):
                for name in rotated(list(rates), turn):
                    limiter = Limiter(f"{name}:{turn}", AMPLE, backend=store if name == "lmdb" else fleet)
                    rates[name].append((await _hit(limiter, "client")).rate)
    return [_ratio("1 caller, to the store in Redis", rates["lmdb"], rates["redis"], 10)]


def _memory(directory: Path) -> Result:
    with _lmdb(directory) as store:
        before = _used(store)
        limiter = Limiter("memory", "100/day", backend=store).sync
        for number in range(KEYS):
            limiter.hit(f"user:{number}")
        held = (_used(store) - before) / KEYS
    return Result(f"a key of SlidingWindow, of {KEYS:,}", held, held, held, "B")


def _used(store: LMDBBackend) -> int:
    """Bytes of the pages with keys in them."""
    used = 0
    for environment in store._files:
        assert environment.file is not None
        found = environment.file.env.stat()
        used += (found["leaf_pages"] + found["branch_pages"]) * found["psize"]
    return used


def _lmdb(directory: Path) -> LMDBBackend:
    return LMDBBackend(directory, on_error="raise", deadline=PATIENCE)


@contextmanager
def _directory() -> Iterator[Path]:
    shared = Path("/dev/shm")
    path = Path(mkdtemp(dir=shared if shared.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def _fleet(count: int, directory: Path | None) -> Iterator[list[Connection]]:
    """Processes that hit for a while on request."""
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(count)]
    workers = [
        context.Process(target=_work, args=(there, directory, number), daemon=True)
        for number, (_, there) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    try:
        yield [here for here, _ in pipes]
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _together(workers: list[Connection]) -> Run:
    """The results of workers that hit at the same time."""
    gc.collect()
    for worker in workers:
        worker.send("go")
    runs: list[Run] = [worker.recv() for worker in workers]
    return Run(sum(run.rate for run in runs), max(run.tail for run in runs), min(run.share for run in runs))


def _work(pipe: Connection, directory: Path | None, number: int) -> None:
    store: Backend = InMemoryBackend() if directory is None else _lmdb(directory)
    limiter = Limiter("several", AMPLE, backend=store)
    with store:
        while pipe.recv():
            pipe.send(asyncio.run(_hit(limiter, f"worker:{number}")))


async def _hit(limiter: Limiter, who: str) -> Run:
    steps: list[float] = []
    names = cycle([f"{who}:{number}" for number in range(100)])
    start, cpu = perf_counter(), process_time()
    end, count = start + SECONDS, 0
    while perf_counter() < end:
        for _ in range(100):
            await limiter.hit(next(names))
        await _Timed(limiter.hit(next(names)), steps)
        count += 101
    took, cpu = perf_counter() - start, process_time() - cpu
    while len(steps) < 1000:
        await _Timed(limiter.hit(next(names)), steps)
    return Run(count / took, sorted(steps)[-len(steps) // 100] * 1e6, cpu / took)


class _Timed:
    """An awaitable that records the CPU time of each step."""

    def __init__(self, coroutine: Any, steps: list[float]) -> None:
        self._coroutine = coroutine
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        running = self._coroutine.__await__()
        while True:
            began = thread_time()
            try:
                waits = next(running)
            except StopIteration as end:
                return end.value
            finally:
                self._steps.append(thread_time() - began)
            yield waits


def _ratio(subject: str, ours: list[float], floor: list[float], goal: float | None) -> Result:
    shares = [one / other for one, other in zip(ours, floor, strict=True)]
    detail = " : ".join(f"{median(rates):,.0f}/s" for rates in (ours, floor))
    return Result(subject, *spread(shares), goal=goal, at_least=True, detail=detail)
