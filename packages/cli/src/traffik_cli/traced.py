"""One client of a replay, in a terminal and in a sentence that can be sent to it."""

from __future__ import annotations

from heapq import nlargest

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from traffik_cli.replay.tracing import ClientReport, Counted
from traffik_cli.replay.trials import UNNAMED
from traffik_cli.words import moment, number, percent, printable, span

__all__ = ["sentence", "show_client"]


def show_client(out: Console, found: ClientReport, top: int) -> None:
    """Print the minutes, the paths and the refusals of a client, so many of each; and the sentence."""
    if found.requests and top:
        minutes = [(moment(at)[:-3], counted) for at, counted in _busiest(found, top)]
        out.print(_counted(f"Busiest minutes of {found.client}", "minute (UTC)", minutes))
        out.print(_counted(f"Requests of {found.client}", "request", list(found.paths.items())[:top]))
    if found.refusals and top:
        out.print(_refusals(found, top))
    out.print(escape(printable(sentence(found))), soft_wrap=True)


def sentence(found: ClientReport) -> str:
    """What happened to a client, to be sent to it."""
    if found.first is None or found.last is None:
        return f"No request of {found.client} is in the log."
    at, busiest = max(found.minutes.items(), key=lambda pair: pair[1].requests)
    said = (
        f"{found.client} sent {number(found.requests)} requests from {moment(found.first)} to {moment(found.last)} "
        f"UTC, {number(busiest.requests)} of them in the minute from {moment(at)[11:16]}."
    )
    if not found.refused:
        return f"{said} None of them is refused under this limit."
    first = found.refusals[0]
    request, counted = max(found.paths.items(), key=lambda pair: pair[1].refused)
    said += (
        f" {number(found.refused)} ({percent(found.refused, found.requests)}) are refused with 429 Too Many Requests, "
        f"the first at {moment(first.at)} by the limit of {first.rate}, "
        f"{number(counted.refused)} of them {request}."
    )
    if found.longest is None:
        return f"{said} They cost more than the limit and are never admitted."
    return f"{said} A client that waits as the header Retry-After says waits {span(found.longest)} at most."


def _busiest(found: ClientReport, top: int) -> list[tuple[int, Counted]]:
    """The busiest minutes, in order of time."""
    return sorted(nlargest(top, found.minutes.items(), key=lambda pair: (pair[1].requests, -pair[0])))


def _counted(title: str, name: str, rows: list[tuple[str, Counted]]) -> Table:
    table = Table(name, "requests", "refused", title=escape(printable(title)), title_justify="left")
    for text, counted in rows:
        refused = f"{number(counted.refused)} ({percent(counted.refused, counted.requests)})"
        table.add_row(escape(printable(text)), number(counted.requests), refused)
    return table


def _refusals(found: ClientReport, top: int) -> Table:
    title = f"First refusals of {number(found.refused)}"
    table = Table("at (UTC)", "request", "by", "wait", title=title, title_justify="left")
    for each in found.refusals[:top]:
        by = each.rate if each.throttle == UNNAMED else f"{each.throttle}, {each.rate}"
        table.add_row(moment(each.at), escape(printable(each.request)), escape(by), span(each.wait))
    return table
