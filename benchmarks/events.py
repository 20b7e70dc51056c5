"""What do events and metrics cost a hit?

In memory with a Starlette request, and on Redis with 128 callers, against the same hit while nothing listens. "Switched
off" is a hit after a subscription and an export have ended. Listeners do nothing with an event.

Times are CPU times of the process, all of its threads included: that of the caller, and that of the thread which builds
the events and calls the listener. A caller that does nothing but hit may make more events than a listener can take, and
some are dropped then. "The least work of an event" is a hit without a listener, and then what every form of events has
to do: keep the decision with the time, make a record of it, and call a function.

The last line is what ten minutes of events leave in memory; TRAFFIK_BENCH_MINUTES is another time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, perf_counter, process_time_ns, time_ns
from typing import Any

from measure import Result, judged, rotated
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from request import scope_for
from starlette.requests import Request

from traffik import Decision, DecisionEvent, FixedWindow, HTTPThrottle, Limiter, subscribe
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.redis import RedisBackend
from traffik.events.otel import export_metrics
from traffik.live.pages import LivePage

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.backends.redis.servers import server

__all__ = ["TITLE", "measure"]

TITLE = "events and metrics, to the same hit with nothing listening"
AMPLE = "10000000/min"
ROUNDS, HITS = 24, 10_000
CALLERS, SECONDS, TURNS = 128, 0.3, 30
MINUTES = float(os.environ.get("TRAFFIK_BENCH_MINUTES", "10"))


def measure() -> list[Result]:
    """Memory, then Redis, then the long run."""
    return [*asyncio.run(_in_memory()), *_on_redis(), *_long_run()]


def _ignore(event: object) -> None:
    pass


def _nothing() -> ExitStack:
    return ExitStack()


def _ended() -> ExitStack:
    with _everything():
        pass
    return ExitStack()


def _metrics() -> ExitStack:
    stack = ExitStack()
    stack.enter_context(export_metrics(MeterProvider([InMemoryMetricReader()])))
    return stack


def _page() -> ExitStack:
    stack = ExitStack()
    stack.enter_context(LivePage(token="a token of readers"))
    return stack


def _page_and_refusals() -> ExitStack:
    stack = _page()
    stack.enter_context(subscribe(_ignore, outcomes=["refused", "denied", "unavailable"]))
    return stack


def _refusals() -> ExitStack:
    stack = _metrics()
    stack.enter_context(subscribe(_ignore, outcomes=["refused", "denied", "unavailable"]))
    return stack


def _sample() -> ExitStack:
    stack = _metrics()
    stack.enter_context(subscribe(_ignore, sample=0.05))
    return stack


def _events() -> ExitStack:
    stack = ExitStack()
    stack.enter_context(subscribe(_ignore))
    return stack


def _everything() -> ExitStack:
    stack = _metrics()
    stack.enter_context(subscribe(_ignore))
    return stack


FORMS: dict[str, tuple[Callable[[], ExitStack], float | None, float | None]] = {
    "off": (_nothing, None, None),
    "switched off": (_ended, 1.02, 1.02),
    "live page": (_page, 1.15, 1.03),
    "live page, events of refusals": (_page_and_refusals, 1.15, 1.03),
    "metrics": (_metrics, 1.15, 1.03),
    "metrics, events of refusals": (_refusals, 1.15, 1.03),
    "metrics, 5 % of the events": (_sample, 1.15, 1.03),
    "all events": (_events, None, None),
    "metrics, all events": (_everything, None, 1.03),
}
"""What is switched on, and the goals in memory and on Redis."""


async def _in_memory() -> list[Result]:
    async with InMemoryBackend():
        throttle: HTTPThrottle[Request] = HTTPThrottle("events", AMPLE)
        times: dict[str, list[float]] = {name: [] for name in FORMS}
        least: list[float] = []
        for turn in range(ROUNDS + 1):
            for name in rotated([*FORMS], turn):
                with FORMS[name][0]():
                    await _hit(throttle, 50)  # so that a thread has started
                    taken = await _hit(throttle, HITS)
                if turn:
                    times[name].append(taken)
            if turn:
                least.append(times["off"][-1] + _least(HITS))
    return [
        judged(f"in memory, {name}", times[name], times["off"], goal)
        for name, (_, goal, _) in FORMS.items()
        if name != "off"
    ] + [judged("in memory, the least work of an event", least, times["off"], None)]


async def _hit(throttle: HTTPThrottle[Request], times: int) -> float:
    """Nanoseconds of CPU a hit, until all queued events have been taken."""
    requests = [Request(scope_for()) for _ in range(times)]
    gc.collect()
    start = process_time_ns()
    for request in requests:
        await throttle.hit(request)
    _flush()
    return (process_time_ns() - start) / times


def _least(times: int) -> float:
    """Nanoseconds of CPU of the least work of an event."""
    decision, make = Decision(True, 2, 1), tuple.__new__
    start = process_time_ns()
    kept = [(decision, time_ns()) for _ in range(times)]
    for decision, when in kept:
        _ignore(make(DecisionEvent, ("events", decision, 1, when // 1000, "hit", "events", None, False)))
    return (process_time_ns() - start) / times


def _flush() -> None:
    from traffik.events.observers import observers
    from traffik.events.subscriptions import Subscription

    for each in observers():
        if isinstance(each, Subscription):
            each.flush(10)


def _on_redis() -> list[Result]:
    with server() as one:
        return asyncio.run(_redis(one.url))


async def _redis(url: str) -> list[Result]:
    times: dict[str, list[float]] = {name: [] for name in FORMS}
    async with RedisBackend(url, deadline=30, on_error="raise") as store:
        limiter = Limiter("events", AMPLE, backend=store)
        for turn in range(TURNS + 1):
            for name in rotated([*FORMS], turn):
                with FORMS[name][0]():
                    taken = await _callers(limiter)
                if turn:
                    times[name].append(taken)
    return [
        judged(f"Redis, {CALLERS} callers, {name}", times[name], times["off"], goal)
        for name, (_, _, goal) in FORMS.items()
        if name != "off"
    ]


async def _callers(limiter: Limiter) -> float:
    """Nanoseconds of CPU a hit of many callers."""
    hits = 0
    gc.collect()
    start, end = process_time_ns(), perf_counter() + SECONDS

    async def call(caller: int) -> None:
        nonlocal hits
        while perf_counter() < end:
            await limiter.hit(f"caller:{caller}")
            hits += 1

    await asyncio.gather(*map(call, range(CALLERS)))
    _flush()
    return (process_time_ns() - start) / hits


def _long_run() -> list[Result]:
    """Bytes of memory that some minutes of events leave, beyond those of the first seconds."""
    store = InMemoryBackend()
    limiter = Limiter("long", AMPLE, strategy=FixedWindow(), backend=store)  # whose keys do not grow
    with _everything():
        tracemalloc.start()
        _hit_for(limiter, 5)
        _flush()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        hits = _hit_for(limiter, 60 * MINUTES)
        _flush()
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    kept = (held - before) / 1024
    detail = f"{hits:,} hits, peak {(peak - before) / 1024:,.0f} KiB"
    return [Result(f"{MINUTES:g} minutes of events leave behind", kept, kept, kept, "KiB", 64, detail=detail)]


def _hit_for(limiter: Limiter, seconds: float) -> int:
    end, hits, hit = monotonic() + seconds, 0, limiter.sync.hit
    clients: list[Any] = [f"client:{number}" for number in range(100)]
    while monotonic() < end:
        for client in clients:
            hit(client)
        hits += len(clients)
    return hits
