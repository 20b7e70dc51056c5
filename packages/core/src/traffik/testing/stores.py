"""What the contracts of stores share: strategies, limiters, and callers in tasks and threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, Final

import anyio
import pytest

from traffik.backends.base import Backend
from traffik.limits.limiter import Limiter
from traffik.model.decisions import NEVER, Decision
from traffik.model.rates import Rate
from traffik.strategies import (
    GCRA,
    FixedWindow,
    LeakyBucket,
    Penalty,
    Receipt,
    Settled,
    SlidingCounter,
    SlidingLog,
    SlidingWindow,
    State,
    Strategy,
    TokenBucket,
    Transition,
)

__all__ = [
    "BUILT_IN",
    "PERIOD",
    "TASKS",
    "IdlePeriod",
    "SettlingPeriod",
    "every_strategy",
    "in_tasks",
    "in_threads",
    "limiter_in",
    "per_day",
    "settling_strategies",
]

_THREADS: Final = 8

TASKS: Final = 200
"""Tasks that call at once."""

PERIOD: Final = 86_400_000_000
"""A day, so that on a real clock no quota comes back while a test runs."""


@dataclass(frozen=True)
class IdlePeriod:
    """A strategy as a user may write it: the whole quota is back after a period without a hit."""

    def decide(self, state: State | None, rate: Rate, cost: int, now: int) -> Transition:
        used, last = state or (0, now)
        left = max(0, rate.limit - used)
        if cost <= left:
            return Transition(Decision(True, rate.limit, left - cost), (used + cost, now), rate.period)
        wait = last + rate.period - now if cost <= rate.limit else NEVER
        return Transition(Decision(False, rate.limit, left, wait), None, 0)


@dataclass(frozen=True)
class SettlingPeriod(IdlePeriod):
    """The same strategy, which can also settle."""

    def receipt(self, before: State | None, after: State, rate: Rate) -> Receipt:
        return (after[0] - (before[0] if before else 0),)

    def settle(self, state: State | None, rate: Rate, delta: int, receipt: Receipt | None, now: int) -> Settled:
        used, last = state or (0, now)
        applied = max(delta, -used) if delta < 0 else max(0, min(delta, 2 * rate.limit - used))
        used += applied
        left = Decision(
            True, rate.limit, max(0, rate.limit - used), 0 if used < rate.limit else last + rate.period - now
        )
        return Settled(left, (used, last) if applied else None, rate.period, applied)


BUILT_IN: Final = (
    FixedWindow(),
    SlidingWindow(),
    SlidingLog(),
    SlidingCounter(),
    TokenBucket(),
    GCRA(),
    LeakyBucket(),
)

every_strategy: Final = pytest.mark.parametrize(
    "strategy", [*BUILT_IN, Penalty(), IdlePeriod()], ids=lambda each: type(each).__name__
)
"""Runs a test with every strategy of traffik and with one as a user writes it."""

settling_strategies: Final = pytest.mark.parametrize(
    "strategy", [*BUILT_IN, Penalty(), SettlingPeriod()], ids=lambda each: type(each).__name__
)
"""Runs a test with every strategy of traffik and with one of a user that can settle."""


def per_day(limit: int) -> Rate:
    """So many units a day."""
    return Rate(limit, PERIOD)


def limiter_in(store: Backend, limit: int, strategy: Strategy | None = None, uid: str = "contract") -> Limiter:
    """A limiter of so many units a day."""
    return Limiter(uid, per_day(limit), strategy=strategy, backend=store)


async def in_tasks(work: Callable[[], Awaitable[Any]], tasks: int = TASKS) -> list[Any]:
    """The results of `work` in this many tasks at once."""
    answers: list[Any] = []

    async def run() -> None:
        answers.append(await work())

    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(run)
    return answers


def in_threads(work: Callable[[], Any]) -> list[Any]:
    """The results of `work` in `_THREADS` threads that start together."""
    barrier = Barrier(_THREADS)

    def run() -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(_THREADS) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(_THREADS)]]
