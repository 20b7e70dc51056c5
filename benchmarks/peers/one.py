"""One contestant in its own process: ``python one.py PLACE PART [URL]`` prints what was measured, as JSON.

The process belongs to the environment of the contestant, so that none sees the modules of another.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from contestants import CONTESTANTS, Hit

AMPLE = 10_000_000
MINUTES = 30
MOST_STEPS = 50_000
MINUTE = 60_000_000_000  # ns
PATIENCE = 8  # seconds for a part, at most


class Clock:
    """The time of all modules, which moves only when this program moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000_000
        for name in ("time", "monotonic", "perf_counter"):
            setattr(time, name, lambda: self.now / 1e9)
            setattr(time, f"{name}_ns", lambda: self.now)


async def floor(key: str) -> bool:
    """What every speed is compared with: a bare async function that counts in a dict."""
    _counts[key] = _counts.get(key, 0) + 1
    return _counts[key] <= AMPLE


_counts: dict[str, int] = {}


async def speed(hit: Any, hits: int) -> float:
    """Ns for one hit."""
    start = time.perf_counter_ns()
    for _ in range(hits):
        await hit("192.0.2.1")
    return (time.perf_counter_ns() - start) / hits


async def in_memory(make: Callable[..., Any], _: str) -> dict[str, float]:
    """The time of a hit to the floor, in rounds."""
    hit = await make(AMPLE, None)
    await speed(hit, 200)
    end, ratios, times = time.monotonic() + PATIENCE / 4, [], []
    while time.monotonic() < end and len(ratios) < 200:
        times.append(await speed(hit, 100))
        ratios.append(times[-1] / await speed(floor, 1_000))
    return {"ratio": median(ratios), "us": median(times) / 1e3}


async def on_redis(make: Callable[..., Any], url: str) -> dict[str, float]:
    """Hits a second by 1, 16 and 128 callers, each with its own key."""
    found: dict[str, float] = {}
    for callers in (1, 16, 128):
        hit = await make(AMPLE, url)

        async def calls(caller: int, hit: Hit = hit) -> int:
            done, end = 0, time.monotonic() + PATIENCE / 4
            while time.monotonic() < end:
                await hit(f"10.0.0.{caller}")
                done += 1
            return done

        await hit("warm")
        start = time.monotonic()
        done = sum(await asyncio.gather(*map(calls, range(callers))))
        found[str(callers)] = done / (time.monotonic() - start)
    return found


async def exact(make: Callable[..., Any], url: str) -> dict[str, float]:
    """How many of 300 hits this process gets admitted by a limit of 100 that four processes share."""
    hit = await make(100, url)
    return {"admitted": sum([(await hit("shared"))[0] for _ in range(300)])}


async def delivered(make: Callable[..., Any], _: str) -> dict[str, Any]:
    """What a client gets that comes as often as it may: for each limit its share, the longest wait, the fullest minute.

    For the fullest minute another client comes once, then just before a minute is over, and then as often as it may.
    """
    found: dict[str, Any] = {}
    for limit in (1, 2, 5, 100):
        hit = await make(limit, None)
        admitted, wait = await come(hit, f"a-{limit}", MINUTES)
        await hit(f"b-{limit}")
        first = _clock.now
        _clock.now += 59_900_000_000
        moments = [first, *(await come(hit, f"b-{limit}", 3))[0]]
        fullest = max(sum(1 for other in moments if 0 <= other - each < MINUTE) for each in moments)
        found[str(limit)] = {"share": len(admitted) / (limit * MINUTES), "wait": wait, "fullest": fullest}
    return found


async def come(hit: Hit, key: str, minutes: int) -> tuple[list[int], float]:
    """Come as often as one may: when that was admitted, and the longest wait that was told."""
    end, longest, admitted = _clock.now + minutes * MINUTE, 0.0, []
    for _ in range(MOST_STEPS):
        if _clock.now >= end:
            return admitted, longest
        allowed, wait = await hit(key)
        if allowed:
            admitted.append(_clock.now)
            continue
        longest = max(longest, wait or 0.0)
        _clock.now += max(1_000_000, int((0.25 if wait is None else wait) * 1e9))
        await asyncio.sleep(0)  # for those that count with timers
    raise RuntimeError("its counts do not expire when the clock is moved")


PARTS = {"memory": in_memory, "redis": on_redis, "exact": exact, "delivered": delivered}

if __name__ == "__main__":
    place, part, url = int(sys.argv[1]), sys.argv[2], (*sys.argv[3:], "")[0]
    if part == "delivered":
        _clock = Clock()  # before the contestant is imported
    try:
        answer = asyncio.run(PARTS[part](CONTESTANTS[place].make, url))
    except Exception as error:  # noqa: BLE001 - of any contestant; it is shown
        answer = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))
