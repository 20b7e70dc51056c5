"""What one call of ``traffik replay`` asks for: its options, checked before a log is read."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from traffik.identities.proxies import Proxies, proxies
from traffik.model.errors import ConfigurationError
from traffik.throttles.files import read_limits
from traffik_cli.answers import checked
from traffik_cli.calendars import calendar_of
from traffik_cli.replay.conditions import Condition, condition
from traffik_cli.replay.filters import Filters, filters_of
from traffik_cli.replay.formats import Format
from traffik_cli.replay.grouping import grouping_of
from traffik_cli.replay.pseudonyms import LEAST, Pseudonyms
from traffik_cli.replay.records import Fields
from traffik_cli.replay.scenarios import Trial
from traffik_cli.replay.synthetic import traffic_of
from traffik_cli.replay.targets import Target, target_of
from traffik_cli.replay.tiering import is_field
from traffik_cli.replay.trials import named, period_of, trial_of, trials_of
from traffik_cli.replay.writing import check_writable
from traffik_cli.runs import Tries
from traffik_cli.searching import LimitSearch
from traffik_cli.sources import Made, Readable, spooled

__all__ = ["Asked", "asked_of", "sources_of"]

_MINUTE: Final = 60_000_000
_WINDOW: Final = "1h"
_FOLLOWED: Final = "5s"
"""How late a line may stand: in a log that ends, and in one that is followed, where it delays what is shown."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for.

    Attributes:
        tries: what is tried, by name; the first of them is what is asked about.
        search: the limits to look for; None if none are to be suggested.
        conditions: those of ``--fail-if``.
        filters: which requests are looked at.
        form: how the logs are to be read.
        window: how late a line may stand and still be put in order, µs.
        pseudonyms: what stands in the place of clients; None to show them.
    """

    tries: Tries
    search: LimitSearch | None
    conditions: list[Condition]
    filters: Filters
    form: Format
    window: int
    pseudonyms: Pseudonyms | None


def asked_of(files: Sequence[str], options: Mapping[str, Any]) -> Asked:
    """What the options ask for.

    Raises:
        ConfigurationError: one of them says nothing that can be done, or two of them do not go together.
        RateError: a rate is none.
    """
    for name in ("plot", "html", "write"):
        if options[name]:
            checked(options[name], picture=name == "plot")
    conditions = [condition(text) for text in options["conditions"]]
    _check_together(options)
    _check_before(files, options, conditions)
    if options["follow"]:
        _check_follow(files, options)
    tries = _tries(options)
    search = None if options["target"] is None else _search(target_of(options["target"]), options)
    if search is not None and options["write"]:
        check_writable(search.model)
    return Asked(
        tries,
        search,
        conditions,
        filters_of(options["only"], options["where"], options["ignored"]),
        _format(options),
        period_of(options["window"] or (_FOLLOWED if options["follow"] else _WINDOW)),
        _pseudonyms(options),
    )


def _check_together(options: Mapping[str, Any]) -> None:
    target, limited = options["target"], bool(options["rates"] or options["policy"])
    if target is not None and options["policy"] is not None:
        raise ConfigurationError("--target-refused suggests one limit: give --rate or nothing, not --policy")
    if target is None and (options["by"] or options["write"]):
        raise ConfigurationError('--by and --write need suggested limits: add --target-refused "1% of clients"')
    if options["client"] is not None and not limited:
        raise ConfigurationError(
            '--client explains a client under a limit: give --rate "100/min" or --policy limits.toml'
        )
    if options["target_server"] and options["as_json"]:
        raise ConfigurationError("--as prints text and --json prints JSON: give one of them")
    if options["target_server"] and options["policy"]:
        raise ConfigurationError("--as translates one limit: give --rate or --target-refused, not --policy")
    _check_tier(options)
    if (not limited and target is None) or (options["rates"] and options["policy"]):
        raise ConfigurationError(
            'no limit to try: give --rate "100/min", or --policy limits.toml, or --target-refused "0.1%"'
        )


def _check_tier(options: Mapping[str, Any]) -> None:
    tier, target = options["tier"], options["target"]
    if tier is None:
        return
    if target is not None and not is_field(tier):
        raise ConfigurationError(
            f"--target-refused suggests a limit for each tier that a field of the log names: give --tier field:NAME, "
            f"not --tier {tier}"
        )
    if options["by"]:
        raise ConfigurationError("--tier suggests the tiers of one limit, and --by several limits: give one of them")
    if target is None and not options["policy"]:
        raise ConfigurationError("--tier is about the tiers of a file: give --policy limits.toml, or --target-refused")


def _check_before(files: Sequence[str], options: Mapping[str, Any], conditions: Sequence[Condition]) -> None:
    before: tuple[str, ...] = options["before"]
    if before and not (options["rates"] or options["policy"]):
        raise ConfigurationError('--before compares two logs under a limit: give --rate "100/min" or --policy FILE')
    if "-" in before and "-" in files:
        raise ConfigurationError("standard input can be read only once: give - once")
    if not before and any(each.measure == "drift" for each in conditions):
        raise ConfigurationError("drift is what has changed since an earlier log: name that with --before")


def _check_follow(files: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse what would take more memory the longer a log is followed, or needs the end of it."""
    if len(files) != 1:
        raise ConfigurationError(f"--follow reads one log, a file or - for standard input, not {len(files)}")
    if options["target"] is not None or options["before"]:
        raise ConfigurationError(
            "--follow keeps no requests, which --target-refused and --before need: replay the log without --follow"
        )
    if options["jobs"] > 1:
        raise ConfigurationError("--follow reads with one process: leave --jobs out")


def _tries(options: Mapping[str, Any]) -> Tries:
    """What is asked about, and what it is compared with, by name."""
    rates: tuple[str, ...] = options["rates"]
    tries: dict[str, Sequence[Trial]] = {}
    if rates or options["policy"]:
        first = _policy(options["policy"], options["tier"]) if options["policy"] else [_trial(rates, options)]
        tries[options["policy"] or named(first[0])] = first
    for text in options["compared"]:
        if not text.endswith(".toml") and Path(text).is_file():
            raise ConfigurationError(f"--compare takes a rate or a limits.toml: for another log, give --before {text}")
        other = _policy(text, options["tier"]) if text.endswith(".toml") else [_trial((text,), options)]
        name = text if text.endswith(".toml") else named(other[0])
        if name in tries:
            raise ConfigurationError(f"{name} is compared with itself: give another --compare")
        tries[name] = other
    return tries


def _policy(path: str, tier: str | None) -> list[Trial]:
    """The throttles of a file. Without a tier, those with tiers are tried with one of them."""
    entries = read_limits(path)
    tiered = [entry for entry in entries if entry.tiers]
    if tier is not None and not tiered:
        raise ConfigurationError(f"no throttle of {path} has tiers: leave --tier {tier} out, or add [throttle.tiers]")
    trials = trials_of(entries, tier)
    for entry in tiered:
        if tier is None:
            said = f"has tiers, and all clients are tried as {entry.shown_tier!r} (see --tier)"
        elif tier in entry.tiers or is_field(tier):
            continue
        else:
            said = f"has no tier {tier!r}, and all clients are tried as {entry.shown_tier!r}"
        click.echo(f"{path}: {entry.uid!r} {said}", err=True)
    return trials


def _search(target: Target, options: Mapping[str, Any]) -> LimitSearch:
    """The limits to look for: one for the period of each rate, or for a minute."""
    model = _trial(options["rates"], options)
    periods = [rate.period for rate in model.plan.rates] or [_MINUTE]
    by = options["by"] if options["tier"] is None else [options["tier"]]
    return LimitSearch(target, periods, model, grouping_of(by))


def _trial(rates: tuple[str, ...], options: Mapping[str, Any]) -> Trial:
    return trial_of(
        rates, strategy=options["strategy"], burst=options["burst"], cost=options["cost"], key=options["key"]
    )


def _format(options: Mapping[str, Any]) -> Format:
    """How the logs are to be read."""
    described = [name for name in ("template", "pattern") if options[name] is not None]
    if len(described) + (options["form"] != "auto") > 1:
        raise ConfigurationError("--format, --log-format and --pattern each describe the log: give one of them")
    trusted: tuple[str, ...] = options["trusted"]
    return Format(
        options["form"],
        fields=Fields(*(options[f"{name}_field"] for name in ("time", "ip", "method", "path", "forwarded"))),
        trusted=None if not trusted or trusted == ("none",) else _proxies(trusted),
        assume=trusted != ("none",),
        calendar=replace(calendar_of(options["timezone"]), day_first=options["day_first"]),
        template=options["template"],
        pattern=options["pattern"],
        spacing=None if options["every"] is None else period_of(options["every"]),
    )


def _proxies(given: tuple[str, ...]) -> Proxies:
    """Trust in the networks that are given, or in a number of proxies in a row."""
    if len(given) == 1 and given[0].isdigit():
        return proxies(int(given[0]))
    return proxies([network for text in given for network in text.replace(",", " ").split()])


def _pseudonyms(options: Mapping[str, Any]) -> Pseudonyms | None:
    """Pseudonyms made with the key that was given, or with a random one."""
    if options["anonymise_key"] is not None:
        return Pseudonyms(options["anonymise_key"])
    return Pseudonyms(secrets.token_hex(LEAST)) if options["anonymise"] else None


def sources_of(files: Sequence[str], synthetic: str | None = None) -> list[Readable]:
    """The logs. Standard input is read here, so everything that can be wrong with a call is checked before."""
    if synthetic is not None:
        if files:
            raise ConfigurationError("--synthetic makes up the traffic: give it or files, not both")
        return [Made(traffic_of(synthetic))]
    if not files:
        raise ConfigurationError("no log to read: give one or more files, - for standard input, or --synthetic default")
    if files.count("-") > 1:
        raise ConfigurationError("standard input can be read only once: give - once")
    for name in files:
        if name != "-" and Path(name).is_dir():
            raise ConfigurationError(f"{name} is a folder: give the logs in it")
    return list(spooled(list(files)))
