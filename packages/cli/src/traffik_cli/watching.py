"""The live table of a log that is followed, on standard error, and only if that is a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live

from traffik_cli.replay.pseudonyms import Pseudonyms
from traffik_cli.replay.reports import report_of
from traffik_cli.replay.scenarios import Scenario
from traffik_cli.shown import summary, worst_hit

__all__ = ["live_table"]

_WORST: Final = 5
_OFTEN: Final = 0.5
"""Seconds between two tables at least."""

_SHARE: Final = 20
"""A table is made again after so many times the time that it took: counting clients is not what a replay is for."""


@contextmanager
def live_table(scenarios: Sequence[Scenario], pseudonyms: Pseudonyms | None) -> Generator[Callable[[int], object]]:
    """Give a function to call as reading goes on, and show the results so far while the block runs."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda taken: None  # noqa: ARG005 - the bytes read, which a progress bar needs
        return
    following = 0.0
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def refresh(taken: int) -> None:  # noqa: ARG001 - see above
            nonlocal following
            began = time.monotonic()
            if began >= following:
                live.update(_table(scenarios, pseudonyms, console.width), refresh=True)
                ended = time.monotonic()
                following = ended + max(_OFTEN, _SHARE * (ended - began))

        yield refresh


def _table(scenarios: Sequence[Scenario], pseudonyms: Pseudonyms | None, width: int) -> Group:
    reports = [report_of(scenario, _WORST) for scenario in scenarios]
    if pseudonyms is not None:
        reports = pseudonyms.told(reports)
    worst = [worst_hit(limit, _WORST, width) for limit in reports[0].limits if limit.worst]
    return Group(summary(reports, width, "So far (times in UTC); Ctrl-C ends with the report"), *worst)
