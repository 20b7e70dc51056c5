"""What has changed between two logs, as tables in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from traffik_cli.replay.drifts import Change, LimitDrift
from traffik_cli.replay.reports import ScenarioReport
from traffik_cli.replay.trials import UNNAMED
from traffik_cli.runs import Found
from traffik_cli.words import moment, number, percent, printable, span

__all__ = ["change_of", "name_of", "show_drifts", "title_of", "value_of"]

_NAMES = {"touched": "refused at least once"}


def show_drifts(out: Console, found: Found) -> None:
    """Print what has changed since the log that this one is compared with, a table for each throttle."""
    if found.before is None:
        return
    out.print(f"before: {_when(found.before)}\nafter: {_when(found)}", soft_wrap=True, markup=False)
    for drift in found.drifts:
        table = Table("", "before", "after", "change", title=escape(printable(title_of(drift))), title_justify="left")
        for each in drift.changes:
            table.add_row(
                name_of(each), value_of(each, each.before), value_of(each, each.after), change_of(each.change)
            )
        out.print(table)


def title_of(drift: LimitDrift) -> str:
    """The title of what has changed for a throttle."""
    return f"What has changed for {drift.rates if drift.uid == UNNAMED else f'{drift.uid}, {drift.rates}'}"


def name_of(change: Change) -> str:
    """What a number is called."""
    name = _NAMES.get(change.name, change.name)
    return name if change.period is None else f"{name} in {span(change.period)}"


def value_of(change: Change, value: float) -> str:
    """A number before or after, as text."""
    return percent(value, 1) if change.name in {"refused", "touched"} else number(int(value))


def change_of(change: float | None) -> str:
    """A change as text: with its sign, or ``new`` where there was nothing before."""
    if change is None:
        return "new"
    return "none" if change == 0 else f"{'+' if change > 0 else '-'}{percent(abs(change), 1)}"


def _when(found: Found) -> str:
    """The logs and their time."""
    names = printable(", ".join(log.name for log in found.logs))
    return f"{names}, {_span(found.reports[0])}"


def _span(report: ScenarioReport) -> str:
    if report.first is None or report.last is None:
        return "no request"
    return f"{moment(report.first)} to {moment(report.last)} UTC"
