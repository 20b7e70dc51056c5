"""One replay from end to end: reads sources, decides, and suggests limits."""

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
    """The logs and how to read them.

    Attributes:
        sources: the logs.
        form: the format of the logs. The fields to read are filled in.
        window: requests late by at most this are sorted, µs.
        jobs: the number of processes.
        most: the most keys that are counted separately.
        cut: whether to split standard input into the logs it contains.
        filters: which requests are decided.
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
    """The outcome of a replay.

    Attributes:
        reports: one for each scenario, first that of the given limits.
        logs: what was read of each log.
        warnings: reasons why the result cannot be right.
        suggestions: the limits that meet the target, if there was one.
        seconds: the duration of the replay.
        left_out: the number of requests that filters left out.
        client: the client of --client, or None.
        crests: the clients by their fullest periods, for a picture.
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
    """Replay logs, and search for limits that meet a target.

    Args:
        reading: the logs.
        tries: the scenarios to try; may be empty if limits are searched.
        search: the limits to search for, or None.
        worst: the number of clients with the most refusals to report.
        client: the client to report in detail, or None.
        pictured: whether to collect the data of pictures, which need more than tables.

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
    if any(each.group for each in suggestions):  # a group may belong to one client
        warnings = [each for each in warnings if each.id != "one-key"]
    traced = None if read.trace is None else read.trace.report()
    model = ask.pictured if search is None else search.model
    crests = [] if read.history is None or model is None else crests_found(read.history, model, suggestions)
    return Found(reports, read.logs, warnings, suggestions, time.perf_counter() - began, read.left_out, traced, crests)


def _single(tries: Tries) -> Trial | None:
    """The throttle whose clients are drawn: the first that applies to all requests."""
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
    """Pass all runs on; the number of requests left out."""
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
    """Switch the garbage collector of cycles off. A replay makes many objects and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
