"""One replay from end to end: sources in, reports out; and limits that are suggested, on the requests of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from traffik.strategies import plan
from traffik_cli.progress import with_progress
from traffik_cli.reading import readers, runs_of
from traffik_cli.replay.batches import Hit, Run, Wanted
from traffik_cli.replay.doubts import Doubt, doubts_of
from traffik_cli.replay.formats import Format
from traffik_cli.replay.history import History
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.reports import ScenarioReport, report_of
from traffik_cli.replay.scenarios import Scenario, Trial, wanted_by
from traffik_cli.replay.targets import Suggestion, Target
from traffik_cli.sources import Readable

__all__ = ["Found", "Reading", "Search", "Tries", "replayed"]

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
class Search:
    """Limits to look for.

    Attributes:
        target: how much they may refuse.
        periods: of the limits, µs.
        model: how they count, and whose quota it is; its rates do not matter.
    """

    target: Target
    periods: Sequence[int]
    model: Trial


@dataclass(frozen=True, slots=True)
class Found:
    """All that a replay found.

    Attributes:
        reports: one for each scenario, the first of them what was asked about.
        logs: how the reading of each log went.
        doubts: what in it cannot be right.
        suggestions: limits for the target, if there was one.
        seconds: how long it took.
    """

    reports: list[ScenarioReport]
    logs: list[LogReport]
    doubts: list[Doubt] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)
    seconds: float = 0.0


def replayed(reading: Reading, tries: Tries, search: Search | None, worst: int) -> Found:
    """Replay what is read, and look for limits that meet a target.

    Args:
        reading: the logs.
        tries: what to try; may be empty where limits are sought.
        search: the limits to look for; None if none are to be suggested.
        worst: how many of the worst-hit clients to report.

    Raises:
        ConfigurationError: a log cannot be read.
    """
    began = time.perf_counter()

    def remembered() -> History | None:
        return None if search is None else History(search.model.selector)

    history = remembered()
    scenarios, logs = _decided(reading, tries, "replay", history)
    if any(log.late and source.in_parts for log, source in zip(logs, reading.sources, strict=True)):
        reading, history = replace(reading, cut=True), remembered()
        scenarios, logs = _decided(reading, tries, "replay, sorted", history)
    suggestions: list[Suggestion] = []
    added: list[Scenario] = []
    if search is not None and history is not None:
        suggestions, added = _suggested(history, search, {*tries})
    reports = [report_of(scenario, worst) for scenario in scenarios]
    reports += [report_of(scenario, worst, suggested=True) for scenario in added]
    return Found(reports, logs, doubts_of(reports[0], logs), suggestions, time.perf_counter() - began)


def _suggested(history: History, search: Search, there: Collection[str]) -> tuple[list[Suggestion], list[Scenario]]:
    """A limit for every period, and what becomes of the requests under them, unless that is known."""
    from traffik_cli.replay.applied import applied, trials_suggested
    from traffik_cli.replay.fullest import columns_of
    from traffik_cli.replay.suggesting import suggest

    columns = columns_of(history)
    with _uncollected():
        found = [suggest(columns, history, search.target, search.model, period, "") for period in search.periods]
        trials = trials_suggested(found, search.model)
        name = "; ".join(str(rate) for trial in trials.values() for rate in trial.plan.rates) or "unlimited"
        if name in there or (there and not trials):
            return found, []
        unlimited = replace(search.model, plan=plan(search.model.plan.strategy, ()))
        return found, [applied(name, history, columns, trials, unlimited)]


def _decided(
    reading: Reading, tries: Tries, what: str, history: History | None
) -> tuple[list[Scenario], list[LogReport]]:
    wanted = wanted_by(list(tries.values()), () if history is None else (history.selector,))
    scenarios = [Scenario(name, trials, wanted, reading.most) for name, trials in tries.items()]
    told: list[Callable[[int, list[Hit]], None]] = [scenario.decide for scenario in scenarios]
    if history is not None:
        told.append(_recorder(history, wanted))
    form = replace(reading.form, wanted=wanted)
    with _uncollected(), with_progress(reading.sources, what) as moved, readers(reading.jobs) as read:
        logs, runs = runs_of(reading.sources, form, reading.window, read, moved, cut=reading.cut)
        _tell(told, runs)
    return scenarios, [log.report() for log in logs]


def _tell(told: Iterable[Callable[[int, list[Hit]], None]], runs: Iterator[Run]) -> None:
    for now, hits in runs:
        for tell in told:
            tell(now, hits)


def _recorder(history: History, wanted: Wanted) -> Callable[[int, list[Hit]], None]:
    if wanted.bare:
        return history.add
    place = wanted.selectors.index(history.selector)
    return lambda now, hits: history.add(now, [hit[place] for hit in hits])


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
