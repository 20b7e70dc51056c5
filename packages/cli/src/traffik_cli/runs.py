"""One replay from end to end: reads sources, decides, and suggests limits."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from traffik_cli.progress import with_progress
from traffik_cli.reading import batches_of, readers
from traffik_cli.replay.batches import Batch, Hit, Wanted
from traffik_cli.replay.copies import Copies
from traffik_cli.replay.drifts import Demand, LimitDrift, drifts_of
from traffik_cli.replay.filters import Filters
from traffik_cli.replay.formats import Format
from traffik_cli.replay.grouping import Grouping
from traffik_cli.replay.history import History
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.pseudonyms import Pseudonyms
from traffik_cli.replay.replay_warnings import ReplayWarning, warnings_of
from traffik_cli.replay.reports import ScenarioReport, report_of
from traffik_cli.replay.scenarios import Scenario, Trial, wanted_by
from traffik_cli.replay.targets import Crests, Suggestion
from traffik_cli.replay.times import Calendar
from traffik_cli.replay.tracing import ClientReport, Trace
from traffik_cli.searching import LimitSearch, crests_found, demands, recorder, suggested
from traffik_cli.sources import Readable

__all__ = ["Found", "Reading", "Tries", "Watch", "replayed", "since"]

Tries: TypeAlias = Mapping[str, Sequence[Trial]]
"""What is tried side by side: throttles by the name of the scenario they make."""


Watch: TypeAlias = Callable[[Sequence[Scenario]], AbstractContextManager[Callable[[int], object]]]
"""Makes of scenarios what is to be called as reading goes on, with the bytes read since."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The logs and how to read them.

    Attributes:
        sources: the logs.
        form: how to read them; what is wanted of every line is filled in.
        window: how late a request may come and still take its place, µs.
        jobs: processes at work.
        most: keys that are counted separately.
        cut: whether standard input is cut into the logs that it holds.
        filters: which requests are looked at.
        watch: shows what the scenarios have found while a log is followed; None for how far the reading has come.
    """

    sources: Sequence[Readable]
    form: Format
    window: int
    jobs: int
    most: int
    cut: bool = False
    filters: Filters = field(default_factory=Filters)
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a replay.

    Attributes:
        reports: one for each scenario, first that of the given limits.
        logs: what was read of each log.
        warnings: reasons why the result cannot be right.
        suggestions: limits for the target, if there was one.
        seconds: how long it took.
        left_out: requests that were not looked at, since a filter left them out.
        client: the client that was followed; None if none was.
        crests: clients by their fullest periods, for a picture.
        demands: what clients ask of each throttle that was asked about, to be compared with another log.
        before: what was found in the log that this one is compared with; None if it is compared with none.
        drifts: what has changed since that log, for each throttle.
    """

    reports: list[ScenarioReport]
    logs: list[LogReport]
    warnings: list[ReplayWarning] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)
    seconds: float = 0.0
    left_out: int = 0
    client: ClientReport | None = None
    crests: list[Crests] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    before: Found | None = None
    drifts: list[LimitDrift] = field(default_factory=list)


def since(before: Found, after: Found) -> Found:
    """What was found, with what has changed since an earlier log and the warnings about both."""
    warnings = [replace(each, log=each.log or before.logs[0].name) for each in before.warnings]
    old, new = before.reports[0], after.reports[0]
    drifts = drifts_of((old.limits, before.demands), (new.limits, after.demands))
    return replace(after, before=before, drifts=drifts, warnings=[*after.warnings, *warnings])


@contextmanager
def _uncollected() -> Generator[None]:
    """Switch the garbage collector of cycles off. A replay, and its report, makes many objects and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_uncollected()
def replayed(
    reading: Reading,
    tries: Tries,
    search: LimitSearch | None,
    worst: int,
    client: str | None = None,
    *,
    pictured: bool = False,
    compared: bool = False,
    pseudonyms: Pseudonyms | None = None,
) -> Found:
    """Replay logs, and search for limits that meet a target.

    Args:
        reading: the logs.
        tries: what to try; may be empty where limits are sought.
        search: the limits to look for; None if none are to be suggested.
        worst: how many of the worst-hit clients to report.
        client: the one to follow; None if none.
        pictured: whether a picture is to be drawn, which takes more than the tables.
        pseudonyms: what stands in the place of clients and addresses; None to show them.
        compared: whether this is compared with another log, which takes what clients ask of each throttle.

    Raises:
        ConfigurationError: a log cannot be read.
    """
    began = time.perf_counter()

    measured = next(iter(tries.values())) if compared else ()
    first = next(iter(tries.values()))[0] if pictured and search is None else None
    ask = _Ask(tries, search, client, first, measured)
    read = _decided(reading, ask, "replay")
    if any(log.late and source.in_parts for log, source in zip(read.logs, reading.sources, strict=True)):
        read = _decided(replace(reading, cut=True), ask, "replay, sorted")
    suggestions: list[Suggestion] = []
    added: list[Scenario] = []
    if search is not None and read.history is not None:
        suggestions, added = suggested(read.history, search, {*tries})
    reports = [report_of(scenario, worst) for scenario in read.scenarios]
    reports += [report_of(scenario, worst, suggested=True) for scenario in added]
    traced = None if read.trace is None else read.trace.report()
    model = ask.pictured if search is None else search.model
    crests = [] if read.history is None or model is None else crests_found(read.history, model, suggestions)
    if search is None and len(reports[0].limits) > 1:
        crests = [replace(each, uid=reports[0].limits[0].uid) for each in crests]
    asked = demands(read.measured)
    found = Found(reports, read.logs, [], suggestions, 0.0, read.left_out, traced, crests, asked)
    if pseudonyms is not None:
        found = pseudonyms.told(found)
    return replace(
        found,
        warnings=_warnings(found, reading.form.calendar, read.copies.found()),
        seconds=time.perf_counter() - began,
    )


def _warnings(found: Found, calendar: Calendar, copies: int) -> list[ReplayWarning]:
    warnings = warnings_of(found.reports[0], found.logs, calendar, copies)
    if any(each.group for each in found.suggestions):  # a group may well be one client's
        return [each for each in warnings if each.id != "one-key"]
    return warnings


@dataclass(frozen=True, slots=True)
class _Ask:
    tries: Tries
    search: LimitSearch | None
    client: str | None
    pictured: Trial | None
    measured: Sequence[Trial]


@dataclass(slots=True)
class _Read:
    scenarios: list[Scenario]
    history: History | None
    logs: list[LogReport] = field(default_factory=list)
    left_out: int = 0
    trace: Trace | None = None
    copies: Copies = field(default_factory=Copies)
    measured: list[tuple[Trial, History]] = field(default_factory=list)


def _decided(reading: Reading, ask: _Ask, what: str) -> _Read:
    wanted = _wanted(reading, ask)
    scenarios = [Scenario(name, trials, wanted, reading.most) for name, trials in ask.tries.items()]
    told: list[Callable[[Batch], object]] = [scenario.decide_all for scenario in scenarios]
    done = _Read(scenarios, None)
    told.append(done.copies.look)
    model = ask.pictured if ask.search is None else ask.search.model
    if model is not None:
        by = Grouping() if ask.search is None else ask.search.by
        done.history = History(model.selector)
        told.append(recorder(done.history, by, model, wanted))
    for trial in ask.measured:
        kept = History(trial.selector)
        done.measured.append((trial, kept))
        told.append(recorder(kept, Grouping(), trial, wanted))
    if ask.client is not None:
        done.trace = Trace(ask.client, next(iter(ask.tries.values())))
        told.append(done.trace.follower(wanted))
    form = replace(reading.form, wanted=wanted)
    watched = with_progress(reading.sources, what) if reading.watch is None else reading.watch(scenarios)
    with watched as moved, readers(reading.jobs) as read:
        logs, batches = batches_of(reading.sources, form, reading.window, read, moved, cut=reading.cut)
        done.left_out = _tell(told, batches, reading.filters.keeping(wanted))
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
    told: Iterable[Callable[[Batch], object]], batches: Iterator[Batch], keep: Callable[[Hit], bool] | None
) -> int:
    """Pass all requests on; the number of those left out."""
    left_out = 0
    for batch in batches:
        kept = batch if keep is None else batch.only(list(map(keep, batch.hits)))
        left_out += len(batch.hits) - len(kept.hits)
        for tell in told:
            tell(kept)
    return left_out
