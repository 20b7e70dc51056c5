"""The method of all benchmarks: ratios to a baseline, measured in one process and one run.

The machine may be busy, so no time is reported alone. A round runs every piece of work once, for about a millisecond,
and each round in another order. A ratio is taken within its round, in which both pieces were slowed down in the same
way. The report has the median over all rounds, and the quartiles.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any, TypeAlias

__all__ = ["Result", "Times", "Work", "awaiting", "awaiting_each", "interleaved", "judged", "rotated", "spread"]

Work: TypeAlias = Callable[[], Awaitable[float]]
"""Repeats a piece of work, and returns the nanoseconds that one repetition took."""

Times: TypeAlias = Sequence[float]
"""The time of one piece of work in each round, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report.

    Attributes:
        subject: what was measured, and against what.
        value: the figure, a median.
        low: the lower quartile.
        high: the upper quartile.
        unit: the unit of all three.
        goal: the value it should not exceed (or fall below, with `at_least`); None if there is no goal.
        at_least: whether more is better.
        detail: the times of a ratio.
    """

    subject: str
    value: float
    low: float
    high: float
    unit: str = "×"
    goal: float | None = None
    at_least: bool = False
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if there is none."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


async def interleaved(works: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """The times of each piece of work, in nanoseconds, over `rounds` rounds. Two rounds before them do not count."""
    gc.collect()
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 2):
        for name in rotated(list(works), turn):
            taken = await works[name]()
            if turn >= 2:
                times[name].append(taken)
    return times


def awaiting(function: Callable[[Any], Awaitable[object]], argument: object, count: int) -> Work:
    """`await function(argument)`, `count` times over."""

    async def work() -> float:
        start = perf_counter_ns()
        for _ in range(count):
            await function(argument)
        return (perf_counter_ns() - start) / count

    return work


def awaiting_each(function: Callable[[Any], Awaitable[object]], arguments: Callable[[], Sequence[object]]) -> Work:
    """Await `function` with each argument. The arguments are made before the clock starts."""

    async def work() -> float:
        made = arguments()
        start = perf_counter_ns()
        for argument in made:
            await function(argument)
        return (perf_counter_ns() - start) / len(made)

    return work


def rotated(names: Sequence[str], turn: int) -> Sequence[str]:
    """`names` in an order that differs in each turn, so that none always follows the slow one."""
    turn %= len(names)
    return [*names[turn:], *names[:turn]]


def judged(subject: str, ours: Times, floor: Times, goal: float | None, *, unit: str = "×") -> Result:
    """The ratio of our time to the baseline."""
    detail = f"{_time(median(ours))} : {_time(median(floor))}"
    return Result(
        subject, *spread([one / other for one, other in zip(ours, floor, strict=True)]), unit, goal, False, detail
    )


def _time(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.2f} µs" if nanoseconds < 1e5 else f"{nanoseconds / 1e6:.2f} ms"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, lower quartile, upper quartile."""
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return middle, low, high
