"""Commands about the rates of a whole fleet: ``change`` and ``changes``."""

from __future__ import annotations

import getpass
import json

import click
from rich.markup import escape
from rich.table import Table

from traffik.events.changes import RateChange
from traffik.limits.changes import change_in_store, changes_in
from traffik.model.errors import ConfigurationError
from traffik.model.keys import check_uid
from traffik.model.rates import parse_rates
from traffik_cli.commands.keys import of_store
from traffik_cli.commands.stores import open_store
from traffik_cli.shown import console
from traffik_cli.words import moment, number, printable

__all__ = ["change", "changes"]


@click.command(short_help="Change the rate of a limit in all processes.")
@click.argument("uid")
@click.argument("rate", required=False)
@of_store
@click.option("--withdraw", is_flag=True, help="Return to the rate that the application gives the limit.")
@click.option("--by", default=None, help="Who changes it; the user of this machine if left out.")
@click.option("--reason", default="", help="Why, for the list of changes.")
def change(url: str, namespace: str, uid: str, rate: str | None, withdraw: bool, by: str | None, reason: str) -> None:
    """Change the rate of the limit UID in all processes that count in a store, for example to "200/min".

    Running processes follow within 2 seconds (changes_within of their store), and new ones start with the new rate.
    What clients have used stays used. The change holds until the next one, or until it is withdrawn.
    """
    if (rate is None) is not withdraw:
        raise ConfigurationError(f'give either a rate, such as "200/min", or --withdraw, for the limit {uid!r}')
    check_uid(uid)
    if rate is not None:
        parse_rates(rate)
    with open_store(url, namespace) as store:
        made = change_in_store(store, uid, rate, by=_user() if by is None else by, reason=reason)
    click.echo(f"change {number(made.version)}: {printable(_told(made))}")


@click.command(short_help="List the last changes of rates in a store.")
@of_store
@click.option("--throttle", "uid", help="Only those of the throttle with this uid.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def changes(url: str, namespace: str, uid: str | None, as_json: bool) -> None:
    """List the last changes of rates in a store, at most 50, the last one first."""
    with open_store(url, namespace) as store:
        made = changes_in(store, uid)
    if as_json:
        click.echo(json.dumps([each.as_dict() for each in made], indent=2))
        return
    table = Table("", "when (UTC)", "change", "by", "reason", title=f"{len(made)} changes", title_justify="left")
    for each in made:
        texts = (number(each.version), moment(each.when), _told(each), each.by, each.reason)
        table.add_row(*(escape(printable(text)) for text in texts))
    console().print(table)


def _told(made: RateChange) -> str:
    before = f" instead of {made.before}" if made.before else ""
    return f"{made.uid}: {made.rate or 'the rate of the application'}{before}"


def _user() -> str:
    """The user of this machine; empty if it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
