"""One replay from end to end: sources in, reports out; and limits that are suggested, on the requests of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from traffik_cli.progress import with_progress
from traffik_cli.reading import readers, runs_of
from traffik_cli.replay.batches import Hit, Run, Wanted
from traffik_cli.replay.filters import Filters
from traffik_cli.replay.formats import Format
from traffik_cli.replay.grouping import Grouping
from traffik_cli.replay.history import History
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.replay_warnings import ReplayWarning, warnings_of
from traffik_cli.replay.reports import ScenarioReport, report_of
from traffik_cli.replay.scenarios import Scenario, Trial, wanted_by
from traffik_cli.replay.targets import Crests, Suggestion
from traffik_cli.replay.tracing import ClientReport, Trace
from traffik_cli.searching import LimitSearch, crests_found, recorder, suggested
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
        filters: which requests are looked at.
    """

    sources: Sequence[Readable]
    form: Format
    window: int
    jobs: int
    most: int
    cut: bool = False
    filters: Filters = field(default_factory=Filters)


@dataclass(frozen=True, slots=True)
class Found:
    """All that a replay found.

    Attributes:
        reports: one for each scenario, the first of them what was asked about.
        logs: how the reading of each log went.
        warnings: reasons why the result cannot be right.
        suggestions: limits for the target, if there was one.
        seconds: how long it took.
        left_out: requests that were not looked at, since a filter left them out.
        client: the client that was followed; None if none was.
        crests: clients by their fullest periods, for a picture.
    """

    reports: list[ScenarioReport]
    logs: list[LogReport]
    warnings: list[ReplayWarning] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)
    seconds: float = 0.0
    left_out: int = 0
    client: ClientReport | None = None
    crests: list[Crests] = field(default_factory=list)


def replayed(
    reading: Reading,
    tries: Tries,
    search: LimitSearch | None,
    worst: int,
    client: str | None = None,
    *,
    pictured: bool = False,
) -> Found:
    """Replay what is read, and look for limits that meet a target.

    Args:
        reading: the logs.
        tries: what to try; may be empty where limits are sought.
        search: the limits to look for; None if none are to be suggested.
        worst: how many of the worst-hit clients to report.
        client: the one to follow; None if none.
        pictured: whether a picture is to be drawn, which takes more than the tables.

    Raises:
        ConfigurationError: a log cannot be read.
    """
    began = time.perf_counter()

    ask = _Ask(tries, search, client, _single(tries) if pictured and search is None else None)
    read = _decided(reading, ask, "replay")
    if any(log.late and source.in_parts for log, source in zip(read.logs, reading.sources, strict=True)):
        read = _decided(replace(reading, cut=True), ask, "replay, sorted")
    suggestions: list[Suggestion] = []
    added: list[Scenario] = []
    if search is not None and read.history is not None:
        with _uncollected():
            suggestions, added = suggested(read.history, search, {*tries})
    reports = [report_of(scenario, worst) for scenario in read.scenarios]
    reports += [report_of(scenario, worst, suggested=True) for scenario in added]
    warnings = warnings_of(reports[0], read.logs)
    if any(each.group for each in suggestions):  # a group may well be one client's
        warnings = [each for each in warnings if each.id != "one-key"]
    traced = None if read.trace is None else read.trace.report()
    model = ask.pictured if search is None else search.model
    crests = [] if read.history is None or model is None else crests_found(read.history, model, suggestions)
    return Found(reports, read.logs, warnings, suggestions, time.perf_counter() - began, read.left_out, traced, crests)


def _single(tries: Tries) -> Trial | None:
    """The throttle whose clients are pictured: the first that is for all requests."""
    return next((trial for trial in next(iter(tries.values())) if trial.applies is None), None)


@dataclass(frozen=True, slots=True)
class _Ask:
    tries: Tries
    search: LimitSearch | None
    client: str | None
    pictured: Trial | None


@dataclass(slots=True)
class _Read:
    scenarios: list[Scenario]
    history: History | None
    logs: list[LogReport] = field(default_factory=list)
    left_out: int = 0
    trace: Trace | None = None


def _decided(reading: Reading, ask: _Ask, what: str) -> _Read:
    wanted = _wanted(reading, ask)
    scenarios = [Scenario(name, trials, wanted, reading.most) for name, trials in ask.tries.items()]
    told: list[Callable[[int, list[Hit]], None]] = [scenario.decide for scenario in scenarios]
    done = _Read(scenarios, None)
    model = ask.pictured if ask.search is None else ask.search.model
    if model is not None:
        by = Grouping() if ask.search is None else ask.search.by
        done.history = History(model.selector)
        told.append(recorder(done.history, by, model, wanted))
    if ask.client is not None:
        done.trace = Trace(ask.client, next(iter(ask.tries.values())))
        told.append(done.trace.follower(wanted))
    form = replace(reading.form, wanted=wanted)
    with _uncollected(), with_progress(reading.sources, what) as moved, readers(reading.jobs) as read:
        logs, runs = runs_of(reading.sources, form, reading.window, read, moved, cut=reading.cut)
        done.left_out = _tell(told, runs, reading.filters.keeping(wanted))
    done.logs = [log.report() for log in logs]
    return done


def _wanted(reading: Reading, ask: _Ask) -> Wanted:
    more = list(reading.filters.selectors)
    request = ask.client is not None or reading.filters.request
    trials, search = list(ask.tries.values()), ask.search
    if search is not None:
        trials.append([search.model])
        more += search.by.fields
        request = request or search.by.request
    return wanted_by(trials, more, request=request)


def _tell(
    told: Iterable[Callable[[int, list[Hit]], None]],
    runs: Iterator[Run],
    keep: Callable[[list[Hit]], list[Hit]] | None,
) -> int:
    """Hand on all runs; how many requests were left out."""
    left_out = 0
    for now, hits in runs:
        kept = hits
        if keep is not None:
            kept = keep(hits)
            left_out += len(hits) - len(kept)
            if not kept:
                continue
        for tell in told:
            tell(now, kept)
    return left_out


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
