"""The live page in a terminal: ``traffik top --live URL``. It reads the page's data, once a second."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from traffik_cli.shown import console
from traffik_cli.words import cut, number, percent, printable

__all__ = ["draw", "fetch", "follow_live"]

_PATIENCE: Final = 10.0
_BARS: Final = " ▁▂▃▄▅▆▇█"
_WIDE: Final = 60
"""Bars of the history: at most one for each of its buckets, the latest of them."""

_MOST: Final = 2**24
"""Bytes of the longest answer that is read."""


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect, since the token would go with it."""

    def http_error_302(self, req: Request, fp: Any, code: int, msg: str, headers: Any) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def follow_live(address: str, token: str | None, *, once: bool, as_json: bool, shown: int) -> None:
    """Show the live page until the user stops it, or once.

    Raises:
        click.ClickException: the page does not answer, or the token is wrong.
    """
    state = fetch(address, token)
    if as_json:
        click.echo(json.dumps(state, indent=2))
        return
    out = console()
    if once or not out.is_terminal:
        out.print(draw(state, shown))
        return
    _redraw(out, state, lambda: fetch(address, token), shown)


def _redraw(out: Console, state: dict[str, Any], again: Callable[[], dict[str, Any]], shown: int) -> None:
    with Live(draw(state, shown), console=out, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(1)
            try:
                live.update(draw(again(), shown), refresh=True)
            except click.ClickException as error:
                live.update(Group(escape(error.message), draw(state, shown)), refresh=True)


def fetch(address: str, token: str | None) -> dict[str, Any]:
    """What the page shows.

    Raises:
        click.ClickException: the page does not answer, or the token is wrong.
    """
    if urlsplit(address).scheme not in {"http", "https"}:
        raise click.UsageError(f"--live is the address of a live page, such as https://shop/limits/, not {address!r}")
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = Request(f"{address.rstrip('/')}/state", headers=headers)  # noqa: S310 - the scheme was checked
    try:
        with build_opener(_NoRedirect).open(request, timeout=_PATIENCE) as answer:
            state = json.loads(answer.read(_MOST))
    except HTTPError as error:
        why = "give its token: --token, or TRAFFIK_LIVE_TOKEN" if error.code in {401, 403} else "is it a live page?"
        raise click.ClickException(f"{address} answers with status {error.code}; {why}") from error
    except (URLError, HTTPException, OSError) as error:
        raise click.ClickException(f"{address} does not answer: {error}") from error
    except ValueError as error:
        raise click.ClickException(f"{address} is no live page: its answer is not JSON") from error
    if not isinstance(state, dict) or "throttles" not in state:
        raise click.ClickException(f"{address} is no live page")
    return state


def draw(state: dict[str, Any], shown: int) -> RenderableType:
    """What the page shows, as tables with so many clients."""
    parts: list[RenderableType] = [_summary(state), _throttles(state["throttles"])]
    if state["clients"]:
        parts.append(_clients(state["clients"][:shown]))
    parts += [_line(f"banned from {each['throttle']}: {_short(each)}, {each['left']} s left") for each in state["bans"]]
    parts += [_line(f"{each['store']}, breaker {each['breaker']}") for each in state["stores"]]
    parts += [_line(f"{each['id']}: {each['sentence']}") for each in state["notices"]]
    return Group(*parts)


def _summary(state: dict[str, Any]) -> RenderableType:
    series = state["series"]
    admitted, refused = sum(series["admitted"]), sum(series["refused"])
    workers = f"{state['workers']} worker{'' if state['workers'] == 1 else 's'}" if state["shared"] else "this worker"
    share = percent(refused, admitted + refused)
    lines = [f"[bold]Limits[/], {workers}: {share} of {number(admitted + refused)} refused in {state['minutes']} min"]
    for name, colour in (("admitted", "blue"), ("refused", "red")):
        lines.append(f"[{colour}]{_bars(series[name], series)}[/] {name}")
    if state["problem"]:
        lines.append(f"[red]{escape(printable(state['problem']))}[/]")
    return "\n".join(lines)


def _bars(values: list[int], series: dict[str, Any]) -> str:
    most = max(1, *series["admitted"], *series["refused"])
    return "".join(_BARS[-(-value * (len(_BARS) - 1) // most)] for value in values[-_WIDE:])


def _throttles(throttles: list[dict[str, Any]]) -> Table:
    table = Table("throttle", "rate", title="Throttles", title_justify="left")
    for name in ("admitted/s", "refused/s", "admitted", "refused"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for each in sorted(throttles, key=lambda each: -each["refused"]):
        state = [] if each["enabled"] else ["disabled"]
        state += ["on trial"] if each["shadow"] else []
        rates = (f"{rate:,.1f}" for rate in each["per_second"])
        name, rate = (escape(printable(each[field])) for field in ("throttle", "rate"))
        table.add_row(name, rate, *rates, number(each["admitted"]), number(each["refused"]), ", ".join(state) or "on")
    return table


def _clients(clients: list[dict[str, Any]]) -> Table:
    table = Table("client", "throttle", title="Clients refused most", title_justify="left")
    table.add_column("refused", justify="right")
    for each in clients:
        table.add_row(escape(_short(each)), escape(printable(each["throttle"])), number(each["refused"]))
    return table


def _short(client: dict[str, Any]) -> str:
    label = client.get("label")
    return client["client"][:12] if label is None else cut(printable(label), 60)


def _line(text: str) -> str:
    return escape(printable(text))
