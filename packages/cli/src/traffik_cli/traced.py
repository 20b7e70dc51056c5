"""One client of a replay, as tables and as a message that can be sent to it."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from traffik_cli.replay.tracing import ClientReport, Minute, Route
from traffik_cli.replay.trials import UNNAMED
from traffik_cli.words import moment, number, percent, printable, span

__all__ = ["sentence", "show_client"]


def show_client(out: Console, found: ClientReport, top: int) -> None:
    """Print the minutes, paths and refusals of a client, `top` of each, and the message."""
    if found.requests and top:
        minutes = nlargest(top, found.minutes, key=lambda minute: (minute.requests, -minute.at))
        rows = [(moment(each.at)[:-3], each) for each in sorted(minutes, key=lambda minute: minute.at)]
        out.print(_counted(f"Busiest minutes of {found.client}", "minute (UTC)", rows))
        routes = [(each.request, each) for each in found.paths[:top]]
        out.print(_counted(f"Requests of {found.client}", "request", routes))
    if found.refusals and top:
        out.print(_refusals(found, top))
    out.print(escape(printable(sentence(found))), soft_wrap=True)


def sentence(found: ClientReport) -> str:
    """The message to a client about its requests and refusals."""
    if found.first is None or found.last is None:
        return f"No request of {found.client} is in the log."
    busiest = max(found.minutes, key=lambda minute: minute.requests)
    said = (
        f"{found.client} sent {number(found.requests)} requests from {moment(found.first)} to {moment(found.last)} "
        f"UTC, {number(busiest.requests)} of them in the minute from {moment(busiest.at)[11:16]}."
    )
    if not found.refused:
        return f"{said} None of them is refused under this limit."
    first = found.refusals[0]
    route = max(found.paths, key=lambda each: each.refused)
    said += (
        f" {number(found.refused)} ({percent(found.refused, found.requests)}) are refused with 429 Too Many Requests, "
        f"the first at {moment(first.at)} by the limit of {first.rate}, "
        f"{number(route.refused)} of them {route.request}."
    )
    if found.longest is None:
        return f"{said} They cost more than the limit and are never admitted."
    return f"{said} A client that waits as the header Retry-After says waits {span(found.longest)} at most."


def _counted(title: str, name: str, rows: Sequence[tuple[str, Minute | Route]]) -> Table:
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
