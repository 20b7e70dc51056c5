"""A replay as one HTML page, with pictures and sortable tables, which loads no other files.

All that comes from a log is escaped: a client chooses its user agent, and may write a script there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nlargest
from html import escape
from importlib.resources import files
from typing import Final

from traffik_cli.drifted import change_of, name_of, title_of, value_of
from traffik_cli.plots import svg
from traffik_cli.replay.detected import DetectedField
from traffik_cli.replay.drifts import LimitDrift
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.replay_warnings import ReplayWarning
from traffik_cli.replay.reports import LimitReport, ScenarioReport
from traffik_cli.replay.targets import Suggestion
from traffik_cli.replay.tracing import ClientReport, Minute, Route
from traffik_cli.runs import Found
from traffik_cli.traced import sentence
from traffik_cli.words import clients, cut, moment, number, percent, span

__all__ = ["page"]

_LONG: Final = 48
"""Characters of a cell that are shown."""

_MINUTES: Final = 20
"""Minutes and requests of a client that are shown."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(outcome: Found, made: str, command: str) -> str:
    """The whole page, as HTML.

    Args:
        outcome: the outcome of the replay.
        made: the version and the time.
        command: the command as it was typed.
    """
    main = outcome.reports[0]
    body = [
        f"<h1>Replay of {escape(main.name)}</h1>",
        _warnings(outcome.warnings),
        _lead(main),
        f'<p class="made">{escape(made)}: <code>{escape(command)}</code></p>',
        f'<figure class="wide">{svg(outcome)}</figure><figure class="narrow">{svg(outcome, narrow=True)}</figure>',
        _scenarios(outcome.reports),
        "" if outcome.client is None else _client(outcome.client),
        _throttles(main),
        *(_drift(each) for each in outcome.drifts),
        _groups([each for each in outcome.suggestions if each.group]),
        *(_suggestion(each) for each in outcome.suggestions),
        *(_limit(limit) for report in outcome.reports if report is main or report.suggested for limit in report.limits),
        _logs([*outcome.logs, *(outcome.before.logs if outcome.before is not None else ())]),
    ]
    resources = files("traffik_cli")
    style, script = (resources.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'  # otherwise a browser requests one
        f"<title>Replay of {escape(main.name)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _warnings(warnings: Sequence[ReplayWarning]) -> str:
    """The warnings, at the top."""
    said = "".join(
        f'<li data-id="{warning.id}">{escape(f"{warning.log}: " if warning.log else "")}{escape(warning.text)}</li>'
        for warning in warnings
    )
    return f"<p><strong>This result may be wrong:</strong></p><ul>{said}</ul>" if said else ""


def _lead(main: ScenarioReport) -> str:
    if main.first is None or main.last is None:
        return "<p>The log holds no request.</p>"
    return (
        f"<p><strong>{number(main.refused)}</strong> of {number(main.requests)} requests "
        f"({percent(main.refused, main.requests)}) would have been refused, and "
        f"<strong>{number(main.touched)}</strong> of {clients(main.clients)} "
        f"({percent(main.touched, main.clients)}) at least once, "
        f"from {moment(main.first)} to {moment(main.last)} UTC.</p>"
    )


def _scenarios(reports: Sequence[ScenarioReport]) -> str:
    rows = [
        (
            _cell(report.name),
            _count(report.requests),
            _count(report.refused),
            _share(report.refused, report.requests),
            _count(report.clients),
            _count(report.touched),
            _share(report.touched, report.clients),
            _peak(report.second.requests, report.second.at),
            _peak(report.minute.requests, report.minute.at),
        )
        for report in reports
    ]
    names = ("limit", "requests", "refused", "share", "clients", "touched", "share", "busiest second", "busiest minute")
    return _table("Simulated results", names, rows)


def _client(found: ClientReport) -> str:
    """What happened to the client that was asked about."""
    counted: tuple[tuple[str, str, list[Minute] | list[Route]], ...] = (
        ("Minutes", "minute (UTC)", nlargest(_MINUTES, found.minutes, key=lambda each: each.requests)),
        ("Requests", "request", found.paths[:_MINUTES]),
    )
    tables = [
        _table(f"{title} of {cut(found.client, _LONG)}", (name, "requests", "refused", "share"), map(_row, each))
        for title, name, each in counted
        if each
    ]
    return f"<p>{escape(sentence(found))}</p>{''.join(tables)}"


def _row(counted: Minute | Route) -> tuple[str, ...]:
    name = _time(counted.at) if isinstance(counted, Minute) else _cell(counted.request)
    return name, _count(counted.requests), _count(counted.refused), _share(counted.refused, counted.requests)


def _throttles(main: ScenarioReport) -> str:
    """A row for each throttle of a policy."""
    if len(main.limits) < 2 or main.suggested:
        return ""
    rows = [
        (
            _cell(limit.uid),
            _cell(limit.rates),
            _count(limit.requests),
            _count(limit.refused),
            _share(limit.refused, limit.requests),
            _count(limit.clients),
            _count(limit.touched),
        )
        for limit in main.limits
    ]
    return _table("By throttle", ("throttle", "rate", "decided", "refused", "share", "clients", "touched"), rows)


def _drift(drift: LimitDrift) -> str:
    rows = [
        (
            _cell(name_of(each)),
            _cell(value_of(each, each.before), each.before),
            _cell(value_of(each, each.after), each.after),
            _cell(change_of(each.change), 2.0**63 if each.change is None else each.change),
        )
        for each in drift.changes
    ]
    return _table(title_of(drift), ("number", "before", "after", "change"), rows)


def _suggestion(found: Suggestion) -> str:
    rows = [
        (_cell(each.rate), _share(each.refused, 1), _share(each.touched, 1), _cell("within" if each.met else "above"))
        for each in found.tried
    ]
    said = (
        f"Suggested: <strong>{escape(found.rate)}</strong>, the least of these that refuses at most "
        if found.rate
        else "None of these refuses at most "
    )
    table = _table(
        f"Limits that were tried{f' for {found.group}' if found.group else ''}",
        ("limit", "requests refused", "clients touched", "target"),
        rows,
    )
    return f"{table}<p>{said}{escape(found.target)}.</p>"


def _groups(groups: Sequence[Suggestion]) -> str:
    """A row for each group of requests, with the limit suggested for it."""
    if not groups:
        return ""
    names = ("requests to", "limit", "period", "requests", "clients", *groups[0].quantiles, "refused", "touched")
    rows = []
    for each in groups:
        found = next((tried for tried in each.tried if tried.rate == each.rate), None)
        asked = (_count(each.quantiles.get(name, 0)) for name in groups[0].quantiles)
        shares = (0.0, 0.0) if found is None else (found.refused, found.touched)
        rows.append(
            (
                _cell(each.group),
                _cell(each.rate or "none"),
                _cell(span(each.period), each.period),
                _count(each.requests),
                _count(each.clients),
                *asked,
                *(_share(share, 1) for share in shares),
            )
        )
    return _table(f"Limits for at most {groups[0].target}", names, rows)


def _limit(limit: LimitReport) -> str:
    rows = [
        (
            _cell(each.key),
            _count(each.requests),
            _count(each.refused),
            _share(each.refused, each.requests),
            _time(each.first),
            _time(each.last),
            _cell(span(each.longest_wait), 2**63 if each.longest_wait is None else each.longest_wait),
            _cell(", ".join(f"{rate}: {number(count)}" for rate, count in each.by.items())),
        )
        for each in limit.worst
    ]
    names = ("client", "requests", "refused", "share", "first refusal", "last refusal", "longest wait", "by")
    about = f"by {escape(limit.key)}, {escape(limit.strategy)}; {clients(limit.touched)} in all"
    if not rows:
        return f"<h2>{escape(limit.title)}</h2><p>No client was refused ({about}).</p>"
    return _table(f"Worst hit by {limit.title}", names, rows) + f"<p>{about}</p>"


def _logs(logs: Sequence[LogReport]) -> str:
    rows = [
        (
            _cell(log.name),
            _cell(log.detected.format),
            *map(_fact, (log.detected.client, log.detected.time, log.detected.path)),
            _count(log.lines),
            _count(log.malformed),
            _count(log.disordered),
            _count(log.late),
        )
        for log in logs
    ]
    names = ("log", "format", "client", "time", "path", "lines", "malformed", "out of order", "too late")
    shown = "".join(
        f"<li>{escape(log.name)}:{line.line}: {escape(line.reason)}</li>" for log in logs for line in log.shown
    )
    return _table("What was read", names, rows) + (
        f"<p>Malformed, the first of them:</p><ul>{shown}</ul>" if shown else ""
    )


def _fact(fact: DetectedField | None) -> str:
    if fact is None:
        return _cell("in no field")
    value = moment(fact.value) if isinstance(fact.value, int) else fact.value
    return _cell(f"{fact.field}, such as {value}")


def _table(title: str, names: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in names)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2>\n<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _cell(text: str, order: float | None = None) -> str:
    """A cell; with `order` it is a number, and sorted by that. A long text is cut, and whole where it is pointed at."""
    if order is not None:
        return f'<td class="n" data-order="{order}">{escape(text)}</td>'
    whole = f' title="{escape(text)}"' if len(text) > _LONG else ""
    return f"<td{whole}>{escape(cut(text, _LONG))}</td>"


def _count(value: int) -> str:
    return _cell(number(value), value)


def _share(part: float, whole: float) -> str:
    return _cell(percent(part, whole), part / whole if whole else 0)


def _time(micros: int) -> str:
    return _cell(moment(micros), micros)


def _peak(requests: int, at: int) -> str:
    return _cell(f"{number(requests)}, {moment(at)}" if requests else "none", requests)
