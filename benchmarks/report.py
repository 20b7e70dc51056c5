"""The report: a table for people, and a document for programs."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from measure import Result
from rich.console import Console
from rich.table import Table

__all__ = ["document", "show"]

_VERDICTS = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}


def show(console: Console, titles: Mapping[str, str], results: Mapping[str, Sequence[Result]]) -> None:
    """Print every result with its goal and verdict."""
    table = Table("", "median", "quartiles", "goal", "", "behind it", title="traffik", title_justify="left")
    for column in (1, 2, 3):
        table.columns[column].justify = "right"
    for name, lines in results.items():
        table.add_section()
        table.add_row(f"[bold]{name}[/]: {titles[name]}")
        for line in lines:
            value, low, high = (_figure(each, line.unit) for each in (line.value, line.low, line.high))
            goal = "" if line.goal is None else f"{'≥' if line.at_least else '≤'} {_figure(line.goal, line.unit)}"
            same = low == high
            table.add_row(
                f"  {line.subject}", value, "" if same else f"{low} – {high}", goal, _VERDICTS[line.met], line.detail
            )
    console.print(table)
    missed = [line for lines in results.values() for line in lines if line.met is False]
    console.print(f"{platform.python_implementation()} {platform.python_version()}, {len(missed)} goals missed")


def document(results: Mapping[str, Sequence[Result]]) -> dict[str, object]:
    """The same as plain data, ready for JSON."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "results": {name: [asdict(line) | {"met": line.met} for line in lines] for name, lines in results.items()},
    }


def _figure(value: float, unit: str) -> str:
    places = next((places for places, bound in ((4, 0.05), (2, 10), (1, 100)) if abs(value) < bound), 0)
    number = f"{value:,.{places}f}"
    return f"{number} {unit}"
