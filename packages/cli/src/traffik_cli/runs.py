"""One replay from end to end: sources in, reports out; and once more for the limits that a suggestion tries."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from traffik.model.errors import RateError
from traffik.model.rates import Rate
from traffik.strategies import Plan, plan
from traffik_cli.progress import with_progress
from traffik_cli.reading import readers, runs_of
from traffik_cli.replay.batches import Hit, Run
from traffik_cli.replay.formats import Format
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.replay_warnings import ReplayWarning, warnings_of
from traffik_cli.replay.reports import ScenarioReport, report_of
from traffik_cli.replay.scenarios import Scenario, Trial, wanted_by
from traffik_cli.replay.suggesting import Distribution, Suggestion, Target, countable, suggestion_of
from traffik_cli.sources import Readable

__all__ = ["Found", "Reading", "Tries", "replayed"]

Tries: TypeAlias = Mapping[str, Sequence[Trial]]
"""What is tried side by side: throttles by the name of the scenario they make."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read and how.

    Attributes:
        sources: the logs.
        form: how to read them; what is wanted of every line is filled in.
        window: how late a request may come and still take its place, µs.
        jobs: processes at work.
        most: keys that are told apart.
        cut: whether standard input is cut into the logs that it holds.
    """

    sources: Sequence[Readable]
    form: Format
    window: int
    jobs: int
    most: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """All that a replay found.

    Attributes:
        reports: one for each scenario, the first of them what was asked about.
        logs: how the reading of each log went.
        warnings: reasons why the result cannot be right.
        suggestions: limits for the target, if there was one.
        seconds: how long it took.
    """

    reports: list[ScenarioReport]
    logs: list[LogReport]
    warnings: list[ReplayWarning] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)
    seconds: float = 0.0


def replayed(reading: Reading, tries: Tries, target: Target | None, periods: Sequence[int], worst: int) -> Found:
    """Replay what is read, and look for limits that meet the target.

    Args:
        reading: the logs.
        tries: what to try.
        target: how much may be refused; None if no limit is to be suggested.
        periods: of the limits to be suggested, µs.
        worst: how many of the worst-hit clients to report.

    Raises:
        ConfigurationError: a log cannot be read.
    """
    began = time.perf_counter()
    model = next(iter(tries.values()))[0]

    def distributions() -> list[Distribution]:
        return [Distribution(period, model.selector, reading.most) for period in periods] if target else []

    found = distributions()
    scenarios, logs = _decided(reading, tries, "replay", found)
    if any(log.late and source.in_parts for log, source in zip(logs, reading.sources, strict=True)):
        reading, found = replace(reading, cut=True), distributions()
        scenarios, logs = _decided(reading, tries, "replay, sorted", found)
    suggestions = [_suggested(reading, each, target, model) for each in found if target is not None]
    reports = [report_of(scenario, worst) for scenario in scenarios]
    return Found(reports, logs, warnings_of(reports[0], logs), suggestions, time.perf_counter() - began)


def _suggested(reading: Reading, found: Distribution, target: Target, model: Trial) -> Suggestion:
    """Decide the limits around the estimate, all on one more reading."""
    found.close()

    def tried(limit: int) -> Plan:
        return plan(model.plan.strategy, [Rate(limit, found.period)])

    limits = countable(found.ladder(target, model.cost), lambda limit: _made(tried, limit))
    tries = {str(limit): [Trial(model.uid, tried(limit), model.cost, model.selector)] for limit in limits}
    scenarios, _ = _decided(reading, tries, "suggestion", [])
    return suggestion_of(found, target, scenarios)


def _made(make: Callable[[int], Plan], limit: int) -> bool:
    try:
        make(limit)
    except RateError:
        return False
    return True


def _decided(
    reading: Reading, tries: Tries, what: str, found: list[Distribution]
) -> tuple[list[Scenario], list[LogReport]]:
    wanted = wanted_by(list(tries.values()))
    scenarios = [Scenario(name, trials, wanted, reading.most) for name, trials in tries.items()]
    told: list[Callable[[int, list[Hit]], None]] = [scenario.decide for scenario in scenarios]
    told += [_keys_only(each, wanted.selectors.index(each.selector), wanted.bare) for each in found]
    form = replace(reading.form, wanted=wanted)
    with _uncollected(), with_progress(reading.sources, what) as moved, readers(reading.jobs) as read:
        logs, runs = runs_of(reading.sources, form, reading.window, read, moved, cut=reading.cut)
        _tell(told, runs)
    return scenarios, [log.report() for log in logs]


def _tell(told: Iterable[Callable[[int, list[Hit]], None]], runs: Iterator[Run]) -> None:
    for now, hits in runs:
        for tell in told:
            tell(now, hits)


def _keys_only(found: Distribution, place: int, bare: bool) -> Callable[[int, list[Hit]], None]:
    if bare:
        return found.add
    return lambda now, hits: found.add(now, [hit[place] for hit in hits])


@contextmanager
def _uncollected() -> Generator[None]:
    """Without the collector of cycles: a replay makes none, and many objects for it to look at in vain."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
