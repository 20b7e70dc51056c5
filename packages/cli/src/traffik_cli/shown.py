"""A replay as tables in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from traffik_cli.drifted import show_drifts
from traffik_cli.replay.detected import Detected
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.reports import LimitReport, ScenarioReport
from traffik_cli.replay.targets import Suggestion
from traffik_cli.replay.timeline import Peak
from traffik_cli.runs import Found
from traffik_cli.traced import show_client
from traffik_cli.words import clients, cut, moment, number, percent, printable, span

__all__ = ["console", "show", "summary", "worst_hit"]

_WIDE: Final = 120
_TITLE: Final = "Simulated results (times in UTC)"
_PROXIES: Final = {
    "given": " (the client before the proxies)",
    "unused": " (X-Forwarded-For has other addresses: see --trusted-proxies)",
    "assumed": " (the last address that is not private; --trusted-proxies says otherwise)",
}
_ADDRESS: Final = 39
"""Characters of the longest address, which is not broken."""

_LABELS: Final = 26
"""Columns that the names of the rows of the summary take."""

_LIMITS: Final = 3
"""Suggested limits of which the worst-hit clients are shown, those first that refuse most."""

_COLUMNS: Final = ("requests", "clients", "p50", "p90", "p99", "p99.9", "most", "refused", "touched")

_TIERS: Final = 20
"""Names of tiers that are shown, those with most requests."""

_LONG: Final = 60
"""Characters of an example that are shown."""


def console() -> Console:
    """Standard output, as wide as the terminal, or wide without one."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=_WIDE, highlight=False)


def show(outcome: Found, top: int) -> None:
    """Print the outcome, with `top` of the clients with the most refusals."""
    out = console()
    _logs(out, outcome)
    _keys(out, outcome)
    out.print(summary(outcome.reports, out.width))
    show_drifts(out, outcome)
    if outcome.client is not None:
        show_client(out, outcome.client, top)
        return
    for report in outcome.reports:
        if report is outcome.reports[0] or report.suggested:
            _limits(out, report, top)
    if any(suggestion.group for suggestion in outcome.suggestions):
        out.print(_groups(outcome.suggestions))
        return
    for suggestion in outcome.suggestions:
        _suggest(out, suggestion)


def _limits(out: Console, report: ScenarioReport, top: int) -> None:
    if len(report.limits) > 1 and not report.suggested:
        out.print(_policies(report))
    for limit in report.limits:
        if limit.tiers:
            out.print(_tiers(limit))
    for limit in sorted(report.limits, key=lambda each: -each.refused)[:_LIMITS] if report.suggested else report.limits:
        if top and limit.worst:
            out.print(worst_hit(limit, top, out.width))


def _logs(out: Console, outcome: Found) -> None:
    for log in outcome.logs:
        out.print(f"[bold]{escape(log.name)}[/]: {number(log.lines)} lines, {_format(log.detected)}", soft_wrap=True)
        _detected(out, log.detected)
        _trouble(out, log)
    if outcome.left_out:
        out.print(f"{number(outcome.left_out)} requests left out by --only, --where or --ignore")
    lines = sum(log.lines for log in outcome.logs)
    if outcome.seconds > 0 and out.is_terminal:
        out.print(f"[dim]{outcome.seconds:.1f} s, {number(int(lines / outcome.seconds))} lines/s[/]")


def _format(detected: Detected) -> str:
    return ", in ".join([detected.format, *reversed(detected.wrappers)])


def _detected(out: Console, detected: Detected) -> None:
    """The fields found for the client, the time and the path."""
    for name, fact, more in (
        ("client", detected.client, _PROXIES.get(detected.proxies or "", "")),
        ("time", detected.time, ""),
        ("path", detected.path, ""),
    ):
        if fact is None:
            out.print(f"  {name}: [yellow]in no field[/]")
            continue
        value = moment(fact.value) + " UTC" if isinstance(fact.value, int) else printable(fact.value)
        text = printable(cut(fact.text, _LONG))
        text = "" if text == value else f" in {text}"
        out.print(f"  {name}: {escape(printable(fact.field))}, such as {escape(value + text)}{more}", soft_wrap=True)


def _keys(out: Console, outcome: Found) -> None:
    """Print the share of keys that are addresses, and the numbers of requests and lines left out."""
    main = outcome.reports[0]
    for limit in main.limits:
        keys = limit.keys
        name = f"{limit.uid}, {limit.key}" if len(main.limits) > 1 else limit.key
        whole = keys.addresses == keys.looked_at > 0
        share = "all" if whole else f"{number(keys.addresses)} ({percent(keys.addresses, keys.looked_at)}) of"
        said = [f"{share} {number(keys.looked_at)} are addresses"]
        said.append(f"{number(limit.keyless)} requests without a key")
        if main.pathless is not None and limit is main.limits[0]:
            said.append(f"{number(main.pathless)} without a path")
        out.print(f"keys by {escape(name)}: {', '.join(said)}", soft_wrap=True)
    malformed, late = (sum(getattr(log, name) for log in outcome.logs) for name in ("malformed", "late"))
    out.print(f"lines: {number(malformed)} malformed, {number(late)} too late")


def _trouble(out: Console, log: LogReport) -> None:
    if log.malformed:
        out.print(f"  [yellow]{number(log.malformed)} malformed lines left out[/]:")
        for line in log.shown:
            out.print(f"    {escape(log.name)}:{line.line}: {escape(printable(line.reason))}")
        if log.malformed > len(log.shown):
            out.print(f"    … and {number(log.malformed - len(log.shown))} more")
    if log.disordered:
        out.print(
            f"  {number(log.disordered)} requests were late by up to {span(log.worst)}, "
            f"and were sorted" + (f"; {number(log.late)} of them came too late for that" if log.late else "")
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
    return f"{span(longest.wait)}, {cut(printable(longest.key), _ADDRESS)}"


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


def summary(reports: Sequence[ScenarioReport], width: int, title: str = _TITLE) -> Table:
    """A column for each scenario."""
    table = Table(
        "",
        *(escape(report.name) for report in reports),
        title=title,
        title_justify="left",
    )
    room = (width - _LABELS) // len(reports) - 3
    for name, cell in _ROWS:
        cells = [cell(report) for report in reports]
        if any(len(word) > room for text in cells for word in text.split()):  # an address is never shortened
            cells = [text.partition(", ")[0] for text in cells]
        table.add_row(name, *map(escape, cells))
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


def _tiers(limit: LimitReport) -> Table:
    table = Table(title=f"Requests by tier ({escape(limit.uid)})", title_justify="left")
    table.add_column("name in the log")
    table.add_column("tier")
    table.add_column("rates")
    table.add_column("requests", justify="right")
    table.add_column("refused", justify="right")
    for each in limit.tiers[:_TIERS]:
        name = "[dim]none[/]" if each.name is None else escape(printable(each.name))
        refused = f"{number(each.refused)} ({percent(each.refused, each.requests)})"
        table.add_row(name, escape(each.tier), escape(each.rates), number(each.requests), refused)
    return table


def worst_hit(limit: LimitReport, top: int, width: int) -> Table:
    """The worst-hit clients of a limit, so many of them."""
    title = f"Worst hit by {escape(limit.title)} ({clients(limit.touched)} in all)"
    several = len(limit.refused_by) > 1
    table = Table(title=title, title_justify="left")
    longest = max((len(each.key) for each in limit.worst[:top]), default=0)
    table.add_column("client", overflow="fold", min_width=min(longest, _ADDRESS))
    names = ["requests", "refused", "first refusal", "last refusal", "longest wait"] + ["by"] * several
    spare = ["last refusal", "first refusal"] if width < min(longest, _ADDRESS) + 65 else []
    for name in names:
        if name not in spare:
            table.add_column(name)
    for each in limit.worst[:top]:
        cells = {
            "requests": number(each.requests),
            "refused": f"{number(each.refused)} ({percent(each.refused, each.requests)})",
            "first refusal": moment(each.first),
            "last refusal": moment(each.last),
            "longest wait": span(each.longest_wait),
            "by": escape(_shares(each.by)),
        }
        table.add_row(escape(printable(each.key)), *(cells[name] for name in names if name not in spare))
    return table


def _shares(by: dict[str, int]) -> str:
    return ", ".join(f"{rate}: {number(count)}" for rate, count in by.items())


def _groups(suggestions: Sequence[Suggestion]) -> Table:
    """Print a row for each group of requests, with its suggested limit."""
    title = f"Limits for at most {suggestions[0].target}; requests in the fullest {span(suggestions[0].period)}"
    table = Table("requests to", "limit", *_COLUMNS, title=title, title_justify="left")
    for each in suggestions:
        found = next((tried for tried in each.tried if tried.rate == each.rate), None)
        table.add_row(
            escape(printable(each.group)),
            each.rate or "none",
            number(each.requests),
            number(each.clients),
            *(number(each.quantiles.get(name, 0)) for name in _COLUMNS[2:-2]),
            "" if found is None else percent(found.refused, 1),
            "" if found is None else percent(found.touched, 1),
        )
    return table


def _suggest(out: Console, found: Suggestion) -> None:
    table = Table(
        "limit", "refused requests", "touched clients", "", title="Limits that were tried", title_justify="left"
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
