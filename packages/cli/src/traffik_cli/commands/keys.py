"""Commands about keys in a store: ``explain``, ``stat``, ``top`` and ``reset``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

import click
from rich.markup import escape
from rich.table import Table

from traffik.backends.base import Backend, Charge
from traffik.backends.inspection import InspectableBackend
from traffik.identities.proxies import client_identity
from traffik.limits.changes import change_in_force
from traffik.model.decisions import Decision
from traffik.model.errors import ConfigurationError
from traffik.model.keys import check_uid, local_key
from traffik.model.rates import parse_rates
from traffik.strategies import Plan, plan
from traffik.strategies.named import STRATEGIES
from traffik.throttles.entries import LimitEntry
from traffik.throttles.files import read_limits
from traffik_cli.commands.live import follow_live
from traffik_cli.commands.stores import open_store
from traffik_cli.replay.trials import trial_of
from traffik_cli.shown import console
from traffik_cli.words import number, printable, span, unit_of

__all__ = ["explain", "of_store", "reset_keys", "stat_key", "top"]

_COSTS: Final = (1, 10, 100)
_STORE: Final = "--store redis://localhost:6379/0 --throttle api"
_BATCH: Final = 100
"""Keys asked about in one call."""

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Limit:
    """The limit of a command.

    Attributes:
        uid: the uid of the throttle.
        plan: its rates and strategy.
        entry: its entry in the file of limits; None if --rate was given.
    """

    uid: str
    plan: Plan
    entry: LimitEntry | None


def _key(store: Backend, uid: str, entry: LimitEntry | None, identity: str, scope: str | None) -> str:
    """The local key of a client.

    A file describes the keys of a throttle. Without a file the identity is the key; if the store has no state for it,
    but has one for the network of this address, that network is the key.
    """
    plain, grouped = local_key(scope, identity), local_key(scope, client_identity(identity))
    if entry is None:
        if plain != grouped and not _held(store, uid, plain) and _held(store, uid, grouped):
            return grouped
        return plain
    if entry.key == "ip":
        return grouped
    if identity.startswith("header:"):
        return plain
    return local_key(scope, f"header:{entry.key.partition(':')[2].lower()}:{identity}")


def _held(store: Backend, uid: str, key: str) -> bool:
    """Whether the store has a state for a key; True if the store cannot be inspected."""
    return not isinstance(store, InspectableBackend) or store.inspect_sync(uid, key).value is not None


def _is_used(store: Backend, uid: str, key: str) -> bool:
    """Whether the store has any key of the throttle. If not, print a warning that the uid may be wrong."""
    if _held(store, uid, key):
        return True
    page = store.list_keys_sync(uid, 1) if isinstance(store, InspectableBackend) else None
    if page is None or page.keys or page.unnamed:
        return True
    click.echo(f"traffik: the store holds no key of the throttle {uid!r}: it is unused, or the uid is wrong", err=True)
    return False


def of_store(command: _F, *, needed: bool = True) -> _F:
    """Add the options of all commands about a store. Without `needed`, --store is optional."""
    for option in (
        click.option("--namespace", default="traffik", show_default=True, help="As given to the store."),
        click.option(
            "--store",
            "url",
            required=needed,
            envvar="TRAFFIK_STORE",
            help="Such as redis://localhost:6379/0 or lmdb:///dev/shm/shop.",
        ),
    ):
        command = option(command)
    return command


def _of_throttle(command: _F, *, named: bool = True, needed: bool = True) -> _F:
    """Add the options of commands about a throttle in a store. Without `named`, --throttle is optional."""
    command = click.option("--throttle", "uid", required=named, help="The uid of the throttle.")(command)
    return of_store(command, needed=needed)


def _of_limit(command: _F) -> _F:
    """Add the options that describe how a throttle counts."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--burst", type=click.IntRange(min=1), help="As in the application."),
        click.option("--strategy", type=click.Choice(list(STRATEGIES)), help="As in the application."),
        click.option("--policy", type=click.Path(), help="The limits.toml that describes the throttle."),
        click.option("--rate", "rates", multiple=True, metavar="RATE", help="The rate, as in the application."),
    ):
        command = option(command)
    return command


@click.command(
    short_help="Show the state and quota of one client.",
    epilog=f"Example: traffik explain {_STORE} --rate 100/min --id 192.0.2.1",
)
@partial(_of_throttle, named=False)
@_of_limit
@click.option("--id", "identity", required=True, help="The client, as its identifier returns it: an address, a user.")
@click.option("--scope", help="The scope, if the application gives one.")
def explain(
    url: str, namespace: str, uid: str | None, identity: str, scope: str | None, as_json: bool, **how: Any
) -> None:
    """Show the state of one client, and whether hits of cost 1, 10 and 100 would be admitted. Consumes nothing.

    Without --throttle, all throttles in the --policy are explained.
    """
    limits = _limits(how) if uid is None else [_limit(uid, **how)]
    with open_store(url, namespace) as store:
        limits = [_in_force(store, limit) for limit in limits]
        explained = [_explained(store, limit, identity, scope) for limit in limits]
    if as_json:
        click.echo(json.dumps(explained[0] if uid is not None else explained, indent=2))
        return
    out = console()
    for limit, facts in zip(limits, explained, strict=True):
        table = Table(show_header=False, title=f"{escape(limit.uid)}, {escape(identity)}", title_justify="left")
        for name, text in _told(facts):
            table.add_row(name, escape(text))
        out.print(table)


def _explained(store: Backend, limit: _Limit, identity: str, scope: str | None) -> dict[str, Any]:
    uid = limit.uid
    key = _key(store, uid, limit.entry, identity, scope)
    answers = _asked(store, limit, [(key, cost) for cost in (0, *_COSTS)])
    held = store.inspect_sync(uid, key) if isinstance(store, InspectableBackend) else None
    used = _is_used(store, uid, key)
    return {
        "throttle": uid,
        "key": store.partition_key(uid, key),
        "rates": [str(rate) for rate in limit.plan.rates],
        "strategy": repr(limit.plan.strategy),
        "state": None if held is None or held.value is None else held.value.hex(),
        "forgotten_in": None if held is None else held.ttl,
        "throttle_used": used,
        "remaining": answers[0].remaining,
        "capacity": limit.plan.capacity,
        "whole_in": answers[0].reset_after,
        "binding": None if answers[0].rate is None else str(answers[0].rate),
        "costs": {str(cost): _fate(answer) for cost, answer in zip(_COSTS, answers[1:], strict=True)},
        "rules": [str(rule) for rule in _rules(limit)],
    }


@click.command("stat", epilog=f"Example: traffik stat {_STORE} --rate 100/min --id 192.0.2.1")
@_of_throttle
@_of_limit
@click.option("--id", "identity", required=True, help="The client, as its identifier returns it.")
@click.option("--scope", help="The scope, if the application gives one.")
def stat_key(url: str, namespace: str, uid: str, identity: str, scope: str | None, as_json: bool, **how: Any) -> None:
    """Print the quota left of one client, in one line. Consumes nothing."""
    limit = _limit(uid, **how)
    with open_store(url, namespace) as store:
        limit = _in_force(store, limit)
        key = _key(store, uid, limit.entry, identity, scope)
        (answer,) = _asked(store, limit, [(key, 0)])
        _is_used(store, uid, key)
    if as_json:
        facts = {"key": store.partition_key(uid, key), "remaining": answer.remaining, "wait": answer.retry_after}
        click.echo(json.dumps(facts))
        return
    wait = f"; the next in {span(answer.retry_after)}" if answer.retry_after else ""
    counted = unit_of(limit.plan.rates)
    click.echo(f"{number(answer.remaining)} of {number(limit.plan.capacity)}{counted} left{wait}")


@click.command(
    short_help="Show the busiest clients of a throttle, or a live page.",
    epilog=f"Example: traffik top {_STORE} --rate 100/min",
)
@partial(_of_throttle, named=False, needed=False)
@_of_limit
@click.option("--live", "address", metavar="URL", help="A live page to show instead of a store.")
@click.option("--token", envvar="TRAFFIK_LIVE_TOKEN", help="The token of the live page.")
@click.option("--once", is_flag=True, help="Show the live page once, without following it.")
@click.option("--most", type=click.IntRange(min=1), default=100_000, show_default=True, help="Keys to read.")
@click.option("--top", "shown", type=click.IntRange(1, 1000), default=10, show_default=True, help="Keys to show.")
def top(
    url: str | None,
    namespace: str,
    uid: str | None,
    most: int,
    shown: int,
    as_json: bool,
    address: str | None,
    token: str | None,
    once: bool,
    **how: Any,
) -> None:
    """Show the clients of a throttle that have used most of their quota.

    Reads the keys of the store, a page at a time (SCAN in Redis), until it has seen --most keys of this throttle. Some
    stores do not have the names of all keys. An in-memory store cannot be read from another process.

    With --live it shows what a live page of the application shows, until you press Ctrl+C.
    """
    if address is not None:
        follow_live(address, token, once=once, as_json=as_json, shown=shown)
        return
    if url is None or uid is None:
        raise click.UsageError("top needs --store and --throttle, or --live with the address of a live page")
    _show_worst(url, namespace, _limit(uid, **how), most, shown, as_json)


def _show_worst(url: str, namespace: str, limit: _Limit, most: int, shown: int, as_json: bool) -> None:
    with open_store(url, namespace) as store:
        if not isinstance(store, InspectableBackend):
            raise ConfigurationError(f"{url} cannot list its keys; `traffik adapters` says which stores can")
        limit = _in_force(store, limit)
        listing = store.list_keys_sync(limit.uid, most)
        answers = _asked(store, limit, [(key, 0) for key in listing.keys])
    worst = sorted(zip(listing.keys, answers, strict=True), key=lambda pair: (pair[1].remaining, -pair[1].reset_after))
    if as_json:
        rows = [{"key": key, "remaining": each.remaining, "wait": each.retry_after} for key, each in worst[:shown]]
        facts = {"complete": listing.complete, "keys": len(listing.keys), "unnamed": listing.unnamed, "worst": rows}
        click.echo(json.dumps(facts, indent=2))
        return
    more = "" if listing.complete else ", and there are more: raise --most"
    unnamed = f"; {number(listing.unnamed)} without a name" if listing.unnamed else ""
    title = f"{number(len(worst))} keys{more}{unnamed}"
    table = Table("client", "left", "next in", "whole in", title=title, title_justify="left")
    for key, each in worst[:shown]:
        table.add_row(
            escape(repr(key)[1:-1]), number(each.remaining), _until(each.retry_after), _until(each.reset_after)
        )
    console().print(table)


@click.command(
    "reset",
    short_help="Forget the usage of one client or of all clients.",
    epilog=f"Example: traffik reset {_STORE} --id 192.0.2.1",
)
@_of_throttle
@click.option("--id", "identity", help="The client, as its identifier returns it. Default: all clients.")
@click.option("--scope", help="The scope, if the application gives one.")
@click.option("--policy", type=click.Path(), help="The limits.toml that describes the throttle and its keys.")
@click.option("--yes", is_flag=True, help="Do not ask before all keys are forgotten.")
def reset_keys(
    url: str, namespace: str, uid: str, identity: str | None, scope: str | None, policy: str | None, yes: bool
) -> None:
    """Forget the usage of one client, or of all clients of a throttle."""
    check_uid(uid)
    entry = None if policy is None else _entry(uid, policy)
    if identity is None and not yes:
        click.confirm(f"Forget what every client of {uid} has used?", abort=True, err=True)
    with open_store(url, namespace) as store:
        if identity is None:
            store.reset_sync(uid)
        else:
            key = _key(store, uid, entry, identity, scope)
            if not _held(store, uid, key):
                hint = "" if entry else "; if its throttle counts by a header, give --policy"
                click.echo(f"nothing to forget: the store holds nothing for {printable(key)}{hint}")
                return
            store.reset_sync(uid, key)
    click.echo("forgotten")


def _limit(uid: str, rates: tuple[str, ...], policy: str | None, strategy: str | None, burst: int | None) -> _Limit:
    check_uid(uid)
    if policy is None:
        if not rates:
            raise ConfigurationError('a store keeps no rates: give --rate "100/min", or --policy limits.toml')
        return _Limit(uid, trial_of(rates, uid=uid, strategy=strategy, burst=burst).plan, None)
    if rates or strategy or burst:
        raise ConfigurationError("--policy says how the throttle counts: leave out --rate, --strategy and --burst")
    entry = _entry(uid, policy)
    if entry.tiers:
        click.echo(f"{policy}: {uid!r} has tiers, and its clients are shown as {entry.shown_tier!r}", err=True)
    return _Limit(uid, entry.plan, entry)


def _in_force(store: Backend, limit: _Limit) -> _Limit:
    """The limit with the rate that was set for all processes, if there is one. The application follows it too."""
    change = None if limit.entry is not None and limit.entry.tiers else change_in_force(store, limit.uid)
    if change is None or change.rate is None:
        return limit
    told = f"traffik: {limit.uid!r} has the rate {change.rate}, by change {change.version}; `traffik changes` lists it"
    click.echo(printable(told), err=True)
    return replace(limit, plan=plan(limit.plan.strategy, parse_rates(change.rate)))


def _limits(how: dict[str, Any]) -> list[_Limit]:
    """The throttles in a file of limits."""
    if how["policy"] is None:
        raise ConfigurationError("which throttle? give --throttle, or --policy limits.toml for all that it describes")
    return [_limit(entry.uid, **how) for entry in read_limits(how["policy"])]


def _entry(uid: str, policy: str) -> LimitEntry:
    entries = {entry.uid: entry for entry in read_limits(policy)}
    if uid not in entries:
        raise ConfigurationError(f"{policy} describes no throttle {uid!r}; there are {', '.join(entries)}")
    return entries[uid]


def _asked(store: Backend, limit: _Limit, questions: list[tuple[str, int]]) -> list[Decision]:
    """The decisions on some keys and costs, without counting them."""
    found: list[Decision] = []
    for start in range(0, len(questions), _BATCH):
        part = questions[start : start + _BATCH]
        fits = [
            Charge(limit.uid, limit.plan, key, cost, read_only=True) for key, cost in part if cost <= limit.plan.ceiling
        ]
        answers = iter(store.apply_sync(fits) if fits else [])
        found += [next(answers) if cost <= limit.plan.ceiling else limit.plan.without_store(cost) for _, cost in part]
    return found


def _fate(answer: Decision) -> dict[str, Any]:
    return {"allowed": answer.allowed, "wait": None if answer.never else answer.retry_after}


def _rules(limit: _Limit) -> list[str]:
    rules = limit.entry.rules if limit.entry else ()
    return [
        f"{'lets by' if rule.bypass else 'applies to'} {', '.join(sorted(rule.methods)) or 'all methods'} "
        f"{rule.path or 'everywhere'}"
        for rule in rules
    ]


def _told(facts: dict[str, Any]) -> list[tuple[str, str]]:
    who = "client" if facts["throttle_used"] else "throttle"
    rows = [
        ("key", facts["key"]),
        ("rate", "; ".join(facts["rates"]) or "unlimited"),
        ("strategy", facts["strategy"]),
        ("state", facts["state"] or f"none: a {who} that has used nothing"),
        ("left", f"{number(facts['remaining'])} of {number(facts['capacity'])}{_binding(facts)}"),
        ("whole again in", f"{_until(facts['whole_in'])}{_binding(facts)}"),
    ]
    if facts["forgotten_in"] is not None:
        rows.append(("forgotten in", span(facts["forgotten_in"])))
    for cost, fate in facts["costs"].items():
        rows.append((f"a hit of {cost}", "admitted" if fate["allowed"] else f"refused; {_later(fate['wait'])}"))
    rows += [("rule", rule) for rule in facts["rules"]]
    return rows


def _binding(facts: dict[str, Any]) -> str:
    """Which of several rates binds, as text."""
    return f" (by {facts['binding']})" if len(facts["rates"]) > 1 else ""


def _until(micros: int) -> str:
    return span(micros) if micros else "now"


def _later(wait: int | None) -> str:
    return "never admitted: it costs more than the limit" if wait is None else f"admitted in {span(wait)}"
