"""Commands without a log or a store: ``adapters``, ``rate``, ``schema``, ``synthetic``, ``completion``."""

from __future__ import annotations

import json
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Final

import click
from click.shell_completion import get_completion_class
from rich.markup import escape
from rich.table import Table

from traffik.adapters import GROUP
from traffik.model.errors import RateError
from traffik.model.rates import Rate, parse_rates
from traffik.strategies import plan
from traffik.strategies.named import STRATEGIES
from traffik.throttles.files import SCHEMA
from traffik_cli.answers import ReplayDocument
from traffik_cli.commands.stores import ABILITIES
from traffik_cli.replay.schemas import schema_of
from traffik_cli.replay.synthetic import traffic_of
from traffik_cli.shown import console
from traffik_cli.words import number, span, unit_of

__all__ = ["adapters", "completion", "rate", "schema", "synthetic"]

_VARIABLE: Final = "_TRAFFIK_COMPLETE"


@click.command(short_help="List the installed adapters and the stores.")
def adapters() -> None:
    """List the installed adapters with their connections, and what commands can do with each store."""
    table = Table("connection", "adapter", "framework", title="Adapters", title_justify="left")
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = entry.name.partition(".")[0]
        there = "installed" if find_spec(package) else f"not installed: pip install {package}"
        dist = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        table.add_row(escape(entry.name), escape(dist), there)
    out = console()
    out.print(table)
    stores = Table("store", "URL", "commands", title="Stores", title_justify="left")
    for row in ABILITIES:
        stores.add_row(*row)
    out.print(stores)


@click.command(short_help="Explain a rate, and how each strategy counts it.")
@click.argument("text")
@click.option("--burst", type=click.IntRange(min=1), help="The burst of token-bucket, leaky-bucket and gcra.")
def rate(text: str, burst: int | None) -> None:
    """Explain what TEXT means as a rate, and how each strategy counts it."""
    rates = parse_rates(text)
    out = console()
    if not rates:
        out.print("unlimited: everything is admitted, nothing counted")
    for each in rates:
        even = "" if each.limit else ": nothing is admitted"
        if 0 < each.limit <= each.period:
            even = f", one every {span(each.period // each.limit)} if evenly spaced"
        counted = f"{number(each.limit)}{unit_of([each])}"
        out.print(f"[bold]{escape(str(each))}[/]: {counted} in {span(each.period)}{even}")
        rows = [(name, *_burst(name, each, burst)) for name in STRATEGIES]
        columns = 4 if any(note for *_, note in rows) else 3
        table = Table(*("strategy", "at once", "wait after that burst", "note")[:columns])
        for row in rows:
            table.add_row(*row[:columns])
        out.print(table)


def _burst(name: str, rate: Rate, burst: int | None) -> tuple[str, str, str]:
    """The burst that a strategy admits and the wait after it, or why it cannot count the rate."""
    meter = name in {"token-bucket", "leaky-bucket", "gcra"}
    try:
        made = plan(STRATEGIES[name](**({"burst": burst} if burst and meter else {})), (rate,))
    except RateError as error:
        return "", "", escape(str(error))
    if made.capacity < 1:
        return "0", "never", ""
    state = made.kernel(None, made.capacity, 0)[1]
    return number(made.capacity), span(made.kernel(state, 1, 0)[0].retry_after), ""


@click.command(short_help="Print the JSON Schema of limits.toml, or of replay --json.")
@click.argument("what", type=click.Choice(["limits", "replay"]), default="limits")
def schema(what: str) -> None:
    """Print the JSON Schema of limits.toml, or with "replay" that of the output of replay --json."""
    if what == "limits":
        click.echo(SCHEMA.read_text(encoding="utf-8"), nl=False)
    else:
        click.echo(json.dumps(schema_of(ReplayDocument, "A replay (traffik replay --json)"), indent=2))


@click.command(short_help="Write synthetic traffic in Combined Log Format.")
@click.argument("settings", default="default")
def synthetic(settings: str) -> None:
    """Write synthetic traffic in Combined Log Format, the same for the same SETTINGS.

    SETTINGS is "default" or NAME=NUMBER,… with seed, hours, requests, clients, scraper and storm.
    """
    for block in traffic_of(settings).blocks():
        sys.stdout.buffer.write(block)


@click.command(short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL. To load it: eval "$(traffik completion bash)"."""
    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(context.find_root().command, {}, "traffik", _VARIABLE).source())
