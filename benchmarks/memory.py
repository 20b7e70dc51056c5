"""How much memory does a live key take, and is it freed?

A new process makes a million keys, measures its memory (the resident set), hits each key once within one period, and
measures again. The difference is the memory of the store without the keys' own strings. It does so for two more
periods, since a key with several hits has more state. It measures eight times in each period, and the highest value
counts. A second process does the same with the keys of the later periods in random order, which fragments the memory. A
third makes a hundred thousand busy keys, each with as many moments as the default strategy keeps at most. The store
runs on a clock that this file moves. It moves to the expiry of the last key, and then through one more period in which
a few other keys are hit. After that the process measures a last time. (By default glibc keeps up to 64 MB of freed
memory. Here that is switched off.)
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from array import array
from pathlib import Path
from random import Random
from typing import Any

from measure import Result, spread

from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend

__all__ = ["TITLE", "measure"]

TITLE = "a million live keys"
KEYS = 1_000_000
PERIOD = 60_000_000_000  # ns
BUSY_KEYS, BUSY_HITS = 100_000, 40  # hits that leave as many moments as a window may have
LATER_HITS, LATER_KEYS = 20_000, 100
TURNS, PHASES = 3, 8
RUNS = 2
FRUGAL = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
STATM = Path("/proc/self/statm")


def measure() -> list[Result]:
    """Bytes per key, and the share of them that is freed."""
    if not STATM.exists():
        return []  # on other systems than Linux a process has no simple way to measure its memory
    ordered = [_fresh("ordered") for _ in range(RUNS)]
    shuffled = [_fresh("shuffled") for _ in range(RUNS)]
    return [
        _held("hit once", ordered, 0, 1, 150),
        _held("and again in two more periods", ordered, 1, TURNS, 150),
        _held("the same in random order", shuffled, 1, TURNS, None),
        _busy([_fresh("busy") for _ in range(RUNS)]),
        _back("given back in one period after they lapsed", ordered, 90),
        _back("the same after a random order", shuffled, None),
    ]


def _held(when: str, runs: list[dict[str, Any]], first: int, end: int, goal: float | None) -> Result:
    """The most bytes per key in the turns from `first` to before `end`."""
    worst = [max(run["held"][first * PHASES : end * PHASES]) / KEYS for run in runs]
    return Result(f"beyond its string, SlidingWindow, {when}", *spread(worst), "B", goal)


def _busy(runs: list[dict[str, Any]]) -> Result:
    """The keys of busy clients."""
    sizes = [run["held"][0] / BUSY_KEYS for run in runs]
    return Result("beyond its string, SlidingWindow, seventeen moments", *spread(sizes), "B")


def _back(subject: str, runs: list[dict[str, Any]], goal: float | None) -> Result:
    back = [100 * (1 - run["left"] / run["held"][-1]) for run in runs]
    return Result(subject, *spread(back), "%", goal, at_least=True)


def _fresh(order: str) -> dict[str, Any]:
    """The measurements of a new process."""
    answer = subprocess.check_output([sys.executable, __file__, order], text=True, env=os.environ | FRUGAL)
    report: dict[str, Any] = json.loads(answer)
    return report


async def _million(order: str) -> dict[str, Any]:
    names = [f"user:{number}" for number in range(KEYS)]
    others = [f"other:{number}" for number in range(LATER_KEYS)]
    now = 0
    # Made before the keys, since a number allocated among them would keep the memory around it in use.
    held = array("q", bytes(8 * TURNS * PHASES))
    async with InMemoryBackend(clock=lambda: now) as backend:
        limiter = Limiter("memory", "100/min", backend=backend)
        before = _resident()
        for turn in range(TURNS):
            if turn and order == "shuffled":
                Random(turn).shuffle(names)
            for number, name in enumerate(names, 1):
                now = PERIOD * turn + PERIOD * number // KEYS
                await limiter.hit(name)
                if number % (KEYS // PHASES) == 0:
                    held[turn * PHASES + number // (KEYS // PHASES) - 1] = _resident() - before
            assert backend.keys == KEYS
        lapsed = now + PERIOD
        for number in range(LATER_HITS):
            now = lapsed + PERIOD * number // LATER_HITS
            await limiter.hit(others[number % LATER_KEYS])
        return {"held": list(held), "left": _resident() - before}


async def _hundred_thousand_busy() -> dict[str, Any]:
    names = [f"user:{number}" for number in range(BUSY_KEYS)]
    now = 0
    async with InMemoryBackend(clock=lambda: now) as backend:
        limiter = Limiter("memory", "100/min", backend=backend)
        before = _resident()
        for turn in range(BUSY_HITS):
            now = PERIOD * turn // BUSY_HITS
            for name in names:
                await limiter.hit(name)
        return {"held": [_resident() - before]}


def _resident() -> int:
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_hundred_thousand_busy() if sys.argv[1] == "busy" else _million(sys.argv[1]))))
