"""Replays logs given as blocks of bytes, in the same way as the command line."""

from __future__ import annotations

import pytest

from traffik_cli.replay.formats import Format
from traffik_cli.replay.logs import Log
from traffik_cli.replay.ordering import in_time
from traffik_cli.replay.reports import report_of
from traffik_cli.replay.scenarios import Scenario, wanted_by
from traffik_cli.replay.trials import trial_of


@pytest.fixture
def replay():
    return replayed


def replayed(logs, trials, *, form="auto", window=10_000_000, most=1_000_000):
    """Replay `logs`, given by their contents; the report, and what was read of each log."""
    trials = [trial_of(trials)] if isinstance(trials, str) else trials
    wanted = wanted_by([trials])
    scenario = Scenario("tried", trials, wanted, most)
    followed, streams = [], []
    for place, content in enumerate(logs):
        log = Log(f"log {place}", window)
        opened = Format(form, wanted).open(content)
        log.detected, log.spacing = opened.detected, opened.spacing
        streams.append(log.batches([opened.reader.read(content)]))
        followed.append(log)
    for batch in in_time(streams):
        scenario.decide_all(batch)
    return report_of(scenario, 1000), [log.report() for log in followed]
