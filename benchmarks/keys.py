"""Does a hit stay as cheap with many keys, while the event loop turns?

The same limiter with a hundred live keys and with a hundred thousand: one hit of a key picked at random, timed alone,
and a turn of the event loop before the next. (Work that a limiter does in a background task, or for every key, shows
here.) The second line is a plain dict with as many keys, hit in the same way, which shows the effect of the processor's
caches. The third line compares the extra time for many keys: it should be at most 1.5 times that of the dict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from statistics import median
from time import perf_counter_ns

from decision import sliding_window
from measure import Result, Times, Work, interleaved, judged, spread

from traffik import Limiter, Rate
from traffik.backends.inmemory import InMemoryBackend

__all__ = ["TITLE", "measure"]

TITLE = "a hit among 100,000 keys, to one among 100"
GOAL = 1.5
FEW, MANY = 100, 100_000
ROUNDS, HITS = 60, 200
RATE = Rate.parse("1000/hour")


def measure() -> list[Result]:
    """The hit, the floor, and the slowest hits."""
    return asyncio.run(_measure())


async def _measure() -> list[Result]:
    works: dict[str, Work] = {}
    slowest: list[float] = []
    async with InMemoryBackend() as few, InMemoryBackend() as many:
        for size, backend in (FEW, few), (MANY, many):
            limiter = Limiter(f"keys:{size}", RATE, backend=backend)
            works[f"ours {size}"] = await _hits(limiter.hit, size, slowest if size == MANY else None)
            works[f"floor {size}"] = await _hits(sliding_window(RATE), size, None)
        times = await interleaved(works, ROUNDS)
        assert (few.keys, many.keys) == (FEW, MANY)
    return [
        judged("limiter.hit(key)", times[f"ours {MANY}"], times[f"ours {FEW}"], None),
        judged("a bare dict", times[f"floor {MANY}"], times[f"floor {FEW}"], None),
        judged("what the many keys add, to the same of the dict", _added(times, "ours"), _added(times, "floor"), GOAL),
        Result("the slowest hit of two hundred", *spread(slowest), "µs"),
    ]


def _added(times: Mapping[str, Times], name: str) -> Times:
    """The additional time of a hit with many keys, in each round."""
    return [many - few for many, few in zip(times[f"{name} {MANY}"], times[f"{name} {FEW}"], strict=True)]


async def _hits(hit: Callable[[str], Awaitable[object]], size: int, slowest: list[float] | None) -> Work:
    """Hit `size` keys once; the measured work then hits some of them at random."""
    names = [f"user:{number}" for number in range(size)]
    for name in names:
        await hit(name)
    pick = Random(size).choice

    async def work() -> float:
        times = []
        for _ in range(HITS):
            name = pick(names)
            start = perf_counter_ns()
            await hit(name)
            times.append(perf_counter_ns() - start)
            await asyncio.sleep(0)
        if slowest is not None:
            slowest.append(max(times) / 1000)
        return median(times)

    return work
