"""One replay from end to end: sources in, reports out; and once more for the limits that a suggestion tries."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from traffik.cli.progress import watched
from traffik.cli.reading import readers, runs_of
from traffik.cli.sources import Source
from traffik.simulate.batches import Run
from traffik.simulate.formats import Format
from traffik.simulate.logs import LogReport
from traffik.simulate.scenarios import Scenario, Trial, wanted_by
from traffik.simulate.tables import Fields

__all__ = ["Reading", "decided"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read and how.

    Attributes:
        sources: the logs.
        form: the name of their format.
        fields: where things stand in it.
        window: how late a request may come and still take its place, µs.
        jobs: processes at work.
        most: keys that are told apart.
    """

    sources: list[Source]
    form: str
    fields: Fields
    window: int
    jobs: int
    most: int


def decided(reading: Reading, tried: dict[str, Sequence[Trial]], what: str) -> tuple[list[Scenario], list[LogReport]]:
    """Decide all that is read, for every scenario side by side.

    Raises:
        ConfigurationError: a log cannot be read.
    """
    wanted = wanted_by(list(tried.values()))
    scenarios = [Scenario(name, trials, wanted, reading.most) for name, trials in tried.items()]
    form = Format(reading.form, wanted, reading.fields)
    with uncollected(), watched(reading.sources, what) as moved, readers(reading.jobs) as read:
        logs, runs = runs_of(reading.sources, form, reading.window, read, moved)
        _decide(scenarios, runs)
    return scenarios, [log.report() for log in logs]


def _decide(scenarios: list[Scenario], runs: Iterator[Run]) -> None:
    deciders = [scenario.decide for scenario in scenarios]
    for now, hits in runs:
        for decide in deciders:
            decide(now, hits)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of cycles: a replay makes none, and many objects for it to look at in vain."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
