"""How long does one decision take, compared with its arithmetic?

`await limiter.hit("id")` on the store in memory, which returns a full decision, against a bare `async def` with the
same arithmetic on a dict, which returns a bool. Each baseline below only reads the clock, gets a state, tests it, and
puts the new state. It has no lock, no key, no check of the cost, no expiry, no remaining quota and no wait. All hits
are admitted, except in the last line, where the baseline returns False and the decision has the wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import gcd
from time import monotonic_ns
from typing import TypeAlias

from measure import Result, awaiting, interleaved, judged

from traffik import (
    GCRA,
    FixedWindow,
    LeakyBucket,
    Limiter,
    Rate,
    SlidingCounter,
    SlidingLog,
    SlidingWindow,
    Strategy,
    TokenBucket,
)
from traffik.backends.inmemory import InMemoryBackend

__all__ = ["TITLE", "measure", "sliding_window"]

TITLE = "a decision in memory, to its bare arithmetic"
GOAL = 3.5
ROUNDS, HITS = 200, 1_000

Floor: TypeAlias = Callable[[str], Awaitable[bool]]


def sliding_window(rate: Rate) -> Floor:
    """A moment for each of sixteen cells of the window."""
    limit, period = rate.limit, rate.period
    cell = 1 if limit <= 16 else -(-period // 16)
    states: dict[str, tuple[int, int, int, tuple[int, ...]]] = {}

    async def hit(key: str, cost: int = 1) -> bool:
        now = monotonic_ns() // 1000
        total, last, latest, older = states.get(key) or (0, now, 0, ())
        while older and older[0] <= now - period:
            total, older = total - older[1], older[2:]
        if last <= now - period:
            total, latest = 0, 0
        if total + cost > limit:
            return False
        if now // cell == last // cell:
            states[key] = (total + cost, now, latest + cost, older)
        else:
            states[key] = (total + cost, now, cost, (*older, last, latest))
        return True

    return hit


def sliding_counter(rate: Rate) -> Floor:
    """Two counts, the older one fading out."""
    limit, period = rate.limit, rate.period
    area = limit * period
    states: dict[str, tuple[int, int, int]] = {}

    async def hit(key: str, cost: int = 1) -> bool:
        now = monotonic_ns() // 1000
        start, previous, current = states.get(key) or (now, 0, 0)
        elapsed = now - start
        if elapsed >= period:
            start, previous, current = (start + period, current, 0) if elapsed < 2 * period else (now, 0, 0)
            elapsed = now - start
        if previous * (period - elapsed) + (current + cost) * period > area:
            return False
        states[key] = (start, previous, current + cost)
        return True

    return hit


def fixed_window(rate: Rate) -> Floor:
    """One count since the first hit."""
    limit, period = rate.limit, rate.period
    states: dict[str, tuple[int, int]] = {}

    async def hit(key: str, cost: int = 1) -> bool:
        now = monotonic_ns() // 1000
        start, count = states.get(key) or (now, 0)
        if now >= start + period:
            start, count = now, 0
        if count + cost > limit:
            return False
        states[key] = (start, count + cost)
        return True

    return hit


def bucket(rate: Rate) -> Floor:
    """A level that drains p a tick and rises q a unit: token bucket and leaky bucket."""
    common = gcd(rate.limit, rate.period)
    p, q = rate.limit // common, rate.period // common
    top = rate.limit * q
    states: dict[str, tuple[int, int]] = {}

    async def hit(key: str, cost: int = 1) -> bool:
        now = monotonic_ns() // 1000
        then, level = states.get(key) or (now, 0)
        level -= (now - then) * p
        level = (level if level > 0 else 0) + cost * q
        if level > top:
            return False
        states[key] = (now, level)
        return True

    return hit


def gcra(rate: Rate) -> Floor:
    """One integer, the theoretical arrival time, in ticks times p."""
    common = gcd(rate.limit, rate.period)
    p, q = rate.limit // common, rate.period // common
    top = rate.limit * q
    states: dict[str, int] = {}

    async def hit(key: str, cost: int = 1) -> bool:
        now = monotonic_ns() // 1000 * p
        arrival = states.get(key, 0)
        arrival = (arrival if arrival > now else now) + cost * q
        if arrival - now > top:
            return False
        states[key] = arrival
        return True

    return hit


def sliding_log(rate: Rate) -> Floor:
    """Every admitted hit, in a deque that is changed in place."""
    limit, period = rate.limit, rate.period
    used: dict[str, int] = {}
    logs: dict[str, deque[tuple[int, int]]] = {}

    async def hit(key: str, cost: int = 1) -> bool:
        now = monotonic_ns() // 1000
        total = used.get(key, 0) + cost
        log = logs.get(key)
        if log is None:
            log = logs[key] = deque()
        while log and log[0][0] <= now - period:
            total -= log.popleft()[1]
        if total > limit:
            used[key] = total - cost
            return False
        log.append((now, cost))
        used[key] = total
        return True

    return hit


AMPLE = Rate.parse("1000000/min")
SHORT = Rate.parse("10000/500us")  # logs of some hundreds and some thousands of entries, with new and expired ones
LONG = Rate.parse("10000/10ms")
BUSY = Rate.parse("1000000/16ms")  # all moments that a window may have, one of which expires every millisecond
SPENT = Rate.parse("1/day")
CASES: list[tuple[str, Strategy, Rate, Callable[[Rate], Floor]]] = [
    ("SlidingWindow", SlidingWindow(), AMPLE, sliding_window),
    ("SlidingWindow, sixteen moments", SlidingWindow(), BUSY, sliding_window),
    ("SlidingCounter", SlidingCounter(), AMPLE, sliding_counter),
    ("FixedWindow", FixedWindow(), AMPLE, fixed_window),
    ("TokenBucket", TokenBucket(), AMPLE, bucket),
    ("GCRA", GCRA(), AMPLE, gcra),
    ("LeakyBucket", LeakyBucket(), AMPLE, bucket),
    ("SlidingLog, hundreds of hits", SlidingLog(), SHORT, sliding_log),
    ("SlidingLog, thousands of hits", SlidingLog(), LONG, sliding_log),
    ("SlidingWindow, refused", SlidingWindow(), SPENT, sliding_window),
]


def measure() -> list[Result]:
    """A line for each strategy."""
    return asyncio.run(_measure())


async def _measure() -> list[Result]:
    results = []
    async with InMemoryBackend():
        for name, strategy, rate, floor in CASES:
            limiter = Limiter(name, rate, strategy=strategy)
            ours, bare = awaiting(limiter.hit, "id", HITS), awaiting(floor(rate), "id", HITS)
            times = await interleaved({"ours": ours, "floor": bare}, ROUNDS)
            expected = rate is not SPENT
            assert expected is (await limiter.hit("id")).allowed, f"{name}: not what was to be measured"
            results.append(judged(name, times["ours"], times["floor"], GOAL if expected else None))
    return results
