"""A replay as tables in a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.reports import LimitReport, ScenarioReport
from traffik_cli.replay.targets import Suggestion
from traffik_cli.replay.timeline import Peak
from traffik_cli.runs import Found
from traffik_cli.words import clients, moment, number, percent, printable, span

__all__ = ["console", "show"]

_WIDE = 120


def console() -> Console:
    """Standard output; as wide as the terminal, or wide enough where there is none."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=_WIDE, highlight=False)


def show(outcome: Found, top: int) -> None:
    """Print what was found, with so many of the worst-hit clients."""
    out = console()
    _logs(out, outcome)
    out.print(_summary(outcome.reports))
    for report in outcome.reports:
        if report is outcome.reports[0] or report.suggested:
            _limits(out, report, top)
    for suggestion in outcome.suggestions:
        _suggest(out, suggestion)


def _limits(out: Console, report: ScenarioReport, top: int) -> None:
    if len(report.limits) > 1:
        out.print(_policies(report))
    for limit in report.limits:
        if top and limit.worst:
            out.print(_worst(limit, top))


def _logs(out: Console, outcome: Found) -> None:
    for log in outcome.logs:
        out.print(f"[bold]{escape(log.name)}[/]: {number(log.lines)} lines, {log.format}")
        _trouble(out, log)
    lines = sum(log.lines for log in outcome.logs)
    if outcome.seconds > 0 and out.is_terminal:
        out.print(f"[dim]{outcome.seconds:.1f} s, {number(int(lines / outcome.seconds))} lines/s[/]")


def _trouble(out: Console, log: LogReport) -> None:
    if log.malformed:
        out.print(f"  [yellow]{number(log.malformed)} malformed lines left out[/]:")
        for line in log.shown:
            out.print(f"    {escape(log.name)}:{line.line}: {escape(printable(line.reason))}")
        if log.malformed > len(log.shown):
            out.print(f"    … and {number(log.malformed - len(log.shown))} more")
    if log.disordered:
        out.print(
            f"  {number(log.disordered)} requests stood behind later ones, by up to {span(log.worst)}, "
            f"and took their places" + (f"; {number(log.late)} of them came too late for that" if log.late else "")
        )


def _busiest(peak: Peak) -> str:
    return f"{number(peak.requests)} requests, {moment(peak.at)}" if peak.requests else "none"


def _exact(found: ScenarioReport) -> bool:
    return all(limit.exact for limit in found.limits)


def _longest(found: ScenarioReport) -> str:
    if any(limit.never for limit in found.limits):
        return span(None)
    waits = [limit.longest for limit in found.limits if limit.longest is not None]
    if not waits:
        return "none"
    longest = max(waits, key=lambda each: each.wait)
    return f"{span(longest.wait)}, {printable(longest.key)}"


_ROWS: tuple[tuple[str, Callable[[ScenarioReport], str]], ...] = (
    ("requests", lambda found: number(found.requests)),
    ("refused", lambda found: f"{number(found.refused)} ({percent(found.refused, found.requests)})"),
    ("clients", lambda found: ("" if _exact(found) else "at most ") + number(found.clients)),
    ("refused at least once", lambda found: f"{number(found.touched)} ({percent(found.touched, found.clients)})"),
    ("longest wait", _longest),
    ("busiest second", lambda found: _busiest(found.second)),
    ("busiest minute", lambda found: _busiest(found.minute)),
    ("first", lambda found: "" if found.first is None else moment(found.first)),
    ("last", lambda found: "" if found.last is None else moment(found.last)),
)


def _summary(reports: list[ScenarioReport]) -> Table:
    table = Table(
        "",
        *(escape(report.name) for report in reports),
        title="What would have been (times in UTC)",
        title_justify="left",
    )
    for name, cell in _ROWS:
        table.add_row(name, *(escape(cell(report)) for report in reports))
    return table


def _policies(found: ScenarioReport) -> Table:
    table = Table(
        "throttle", "rate", "decided", "refused", "clients", "touched", title="By throttle", title_justify="left"
    )
    for limit in found.limits:
        table.add_row(
            escape(limit.uid),
            escape(limit.rates),
            number(limit.requests),
            f"{number(limit.refused)} ({percent(limit.refused, limit.requests)})",
            number(limit.clients),
            number(limit.touched),
        )
    return table


def _worst(limit: LimitReport, top: int) -> Table:
    title = f"Worst hit by {escape(limit.title)} ({clients(limit.touched)} in all)"
    several = len(limit.refused_by) > 1
    table = Table(title=title, title_justify="left")
    table.add_column("client", overflow="fold")
    names = ("requests", "refused", "first refusal", "last refusal", "longest wait", "by")
    for name in names if several else names[:-1]:
        table.add_column(name)
    for each in limit.worst[:top]:
        cells = (
            escape(printable(each.key)),
            number(each.requests),
            f"{number(each.refused)} ({percent(each.refused, each.requests)})",
            moment(each.first),
            moment(each.last),
            span(each.longest_wait),
            escape(_shares(each.by)),
        )
        table.add_row(*cells[: len(table.columns)])
    return table


def _shares(by: dict[str, int]) -> str:
    return ", ".join(f"{rate}: {number(count)}" for rate, count in by.items())


def _suggest(out: Console, found: Suggestion) -> None:
    table = Table(
        "limit", "refused requests", "touched clients", "", title="Limits that were decided", title_justify="left"
    )
    for each in found.tried:
        verdict = "[green]within[/]" if each.met else "above"
        table.add_row(each.rate, percent(each.refused, 1), percent(each.touched, 1), verdict)
    out.print(table)
    if found.quantiles:
        fullest = ", ".join(f"{part} {number(count)}" for part, count in found.quantiles.items())
        out.print(f"Requests in the fullest {span(found.period)} of a client: {fullest}")
    if found.rate is None:
        out.print(f"[bold yellow]No limit that was tried refuses at most {found.target}.[/]")
    else:
        out.print(f"[bold]Suggested: {escape(found.rate)}[/], the least of these that refuses at most {found.target}.")
