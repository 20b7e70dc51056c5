"""``traffik replay``: tries limits on recorded traffic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from traffik.identities.proxies import Proxies, proxies
from traffik.model.errors import ConfigurationError
from traffik.strategies.named import STRATEGIES
from traffik.throttles.files import read_limits
from traffik_cli.answers import checked, failed, present, write_text
from traffik_cli.calendars import calendar_of
from traffik_cli.replay.conditions import condition
from traffik_cli.replay.filters import Filters, filters_of
from traffik_cli.replay.foreign import FOREIGN, translate
from traffik_cli.replay.formats import FORMATS, Format
from traffik_cli.replay.grouping import grouping_of
from traffik_cli.replay.ledgers import MOST
from traffik_cli.replay.records import Fields
from traffik_cli.replay.reports import WORST
from traffik_cli.replay.scenarios import Trial
from traffik_cli.replay.synthetic import traffic_of
from traffik_cli.replay.targets import Target, target_of
from traffik_cli.replay.trials import named, period_of, trial_of, trials_of
from traffik_cli.replay.writing import check_writable, limits_text
from traffik_cli.runs import Found, Reading, Tries, replayed
from traffik_cli.searching import LimitSearch
from traffik_cli.sources import Made, Readable, spooled

__all__ = ["replay"]

_MINUTE: Final = 60_000_000
_TRUSTED: Final = "Proxies that may name the client: 10.0.0.0/8, or how many there are; none reads the peer alone."
_RATE: Final = 'Such as "100/min"; several are one limit, all or nothing.'


@click.command(
    short_help="Show what a limit would have done to an access log.",
    epilog="Exit codes: 0, 1 if a --fail-if holds, 2 for an error, 130 for an interrupt.",
)
@click.argument("files", nargs=-1, type=click.Path(path_type=str))
@click.option("--rate", "rates", multiple=True, metavar="RATE", help=_RATE)
@click.option("--strategy", type=click.Choice(list(STRATEGIES)), help="How the rate is counted.")
@click.option("--burst", type=click.IntRange(min=1), help="The burst of token-bucket, leaky-bucket and gcra.")
@click.option("--cost", default="1", show_default=True, metavar="UNITS", help="The cost of a request, or field:NAME.")
@click.option("--key", default="ip", show_default=True, help="ip, header:NAME, field:NAME or regex:PATTERN.")
@click.option("--policy", type=click.Path(), help="A limits.toml with throttles and rules, instead of --rate.")
@click.option("--compare", "compared", multiple=True, metavar="RATE|FILE", help="Also try this, and compare.")
@click.option("--target-refused", "target", metavar="SHARE", help='Suggest a limit: "0.1%", "1% of clients".')
@click.option("--by", multiple=True, metavar="path|method|field:NAME", help="Suggest a limit for each of these.")
@click.option("--write", type=click.Path(), metavar="FILE", help="Write the suggested limits as a limits.toml.")
@click.option("--only", multiple=True, metavar="REQUESTS", help='Only these requests: "POST /login", "/api/**".')
@click.option("--where", multiple=True, metavar="CONDITION", help='Only these: "field:status=200", "!=", "*".')
@click.option("--ignore", "ignored", multiple=True, metavar="NETWORK", help="Leave these clients out: 10.0.0.0/8.")
@click.option("--as", "target_server", type=click.Choice(list(FOREIGN)), help="Also print the limit for this server.")
@click.option("--client", metavar="KEY", help="Explain one client: its minutes, refusals, waits and paths.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="auto", show_default=True)
@click.option("--time-field", help="In JSON and CSV: the field with the time.")
@click.option("--ip-field", help="The field with the address.")
@click.option("--method-field", help="The field with the method.")
@click.option("--path-field", help="The field with the path.")
@click.option("--forwarded-field", help="The field with X-Forwarded-For.")
@click.option("--log-format", "template", metavar="FORMAT", help="As in nginx's log_format or Apache's LogFormat.")
@click.option("--pattern", metavar="REGEX", help="A pattern with groups named ip, time, request, …")
@click.option("--trusted-proxies", "trusted", multiple=True, metavar="NETWORK|NUMBER|none", help=_TRUSTED)
@click.option("--timezone", metavar="NAME", help="For times without one: Europe/Berlin. Default: UTC.")
@click.option("--every", metavar="TIME", help="Time between requests in a log without times: 100ms.")
@click.option("--window", default="1h", show_default=True, help="Lines late by at most this are sorted.")
@click.option("--synthetic", metavar="SETTINGS", help='Synthetic traffic instead of files: "seed=7,hours=6".')
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Number of processes.")
@click.option("--top", type=click.IntRange(0, 1000), default=10, show_default=True, help="Worst-hit clients to show.")
@click.option(
    "--most-clients",
    type=click.IntRange(min=1),
    default=MOST,
    show_default=True,
    help="Counted separately.",
)
@click.option("--plot", type=click.Path(), help="Draw a picture: a .png, .svg or .pdf.")
@click.option("--html", type=click.Path(), help="Write an HTML page without other files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--fail-if", "conditions", multiple=True, metavar="CONDITION", help='Exit with 1 if "refused > 1%".')
def replay(files: tuple[str, ...], **options: Any) -> int:
    """Replay access logs and show which clients a limit would have refused, when, and for how long.

    FILES are access logs of web servers, proxies, load balancers and collectors, plain or compressed (gzip, bzip2, xz,
    zstd); - is standard input. The format is detected. Several files are merged by time.
    """
    for name in ("plot", "html", "write"):
        if options[name]:
            checked(options[name], picture=name == "plot")
    conditions = [condition(text) for text in options["conditions"]]
    target = None if options["target"] is None else target_of(options["target"])
    if target is not None and options["policy"] is not None:
        raise ConfigurationError("--target-refused suggests a limit for a --rate, not for a --policy of several")
    if target is None and (options["by"] or options["write"]):
        raise ConfigurationError('--by and --write are about suggested limits: add --target-refused "1% of clients"')
    client = options["client"]
    if client is not None and not (options["rates"] or options["policy"]):
        raise ConfigurationError('--client needs a limit: give --rate "100/min" or --policy limits.toml')
    if options["target_server"] and options["as_json"]:
        raise ConfigurationError("--as cannot be combined with --json: leave one of them out")
    if options["target_server"] and options["policy"]:
        raise ConfigurationError("--as is for one limit: give --rate or --target-refused instead of --policy")
    filters = filters_of(options["only"], options["where"], options["ignored"])
    tries = _tries(options)
    search = None if target is None else _search(target, options)
    if search is not None and options["write"]:
        check_writable(search.model)
    form, window = _format(options), period_of(options["window"])
    # Standard input is read here, after all options have been checked.
    sources = _sources(files, options["synthetic"])
    reading = Reading(sources, form, window, options["jobs"], options["most_clients"], filters=filters)
    worst, pictured = max(options["top"], WORST if options["html"] else 0), bool(options["plot"] or options["html"])
    outcome = replayed(reading, tries, search, worst, client, pictured=pictured)
    present(outcome, options)
    if options["target_server"]:
        click.echo(_translated(outcome, tries, search, options["target_server"]))
    if search is not None and options["write"]:
        _write(outcome, search, filters, options)
    return failed(outcome, conditions)


def _format(options: dict[str, Any]) -> Format:
    """The format of the logs."""
    described = [name for name in ("template", "pattern") if options[name] is not None]
    if len(described) + (options["form"] != "auto") > 1:
        raise ConfigurationError("--format, --log-format and --pattern each describe the log: give one of them")
    trusted: tuple[str, ...] = options["trusted"]
    return Format(
        options["form"],
        fields=Fields(*(options[f"{name}_field"] for name in ("time", "ip", "method", "path", "forwarded"))),
        trusted=None if not trusted or trusted == ("none",) else _proxies(trusted),
        assume=trusted != ("none",),
        calendar=calendar_of(options["timezone"]),
        template=options["template"],
        pattern=options["pattern"],
        spacing=None if options["every"] is None else period_of(options["every"]),
    )


def _proxies(given: tuple[str, ...]) -> Proxies:
    """The trusted proxies: networks, or a number of proxies."""
    if len(given) == 1 and given[0].isdigit():
        return proxies(int(given[0]))
    return proxies([network for text in given for network in text.replace(",", " ").split()])


def _tries(options: dict[str, Any]) -> Tries:
    """The scenarios by name: the given limits, and those they are compared with."""
    rates: tuple[str, ...] = options["rates"]
    if (not rates and options["policy"] is None and options["target"] is None) or (rates and options["policy"]):
        raise ConfigurationError(
            'what is to be tried? give --rate "100/min", or --policy limits.toml, or --target-refused "0.1%"'
        )
    tries: dict[str, Sequence[Trial]] = {}
    if rates or options["policy"]:
        first = _policy(options["policy"]) if options["policy"] else [_trial(rates, options)]
        tries[options["policy"] or named(first[0])] = first
    for text in options["compared"]:
        other = _policy(text) if text.endswith(".toml") else [_trial((text,), options)]
        name = text if text.endswith(".toml") else named(other[0])
        if name in tries:
            raise ConfigurationError(f"{name} is compared with itself: give another --compare")
        tries[name] = other
    return tries


def _policy(path: str) -> list[Trial]:
    """The throttles of a file. Those with tiers are tried with one of them, since a log does not know the others."""
    entries = read_limits(path)
    for entry in entries:
        if entry.tiers:
            click.echo(f"{path}: {entry.uid!r} has tiers, and all clients are tried as {entry.shown_tier!r}", err=True)
    return trials_of(entries)


def _search(target: Target, options: dict[str, Any]) -> LimitSearch:
    """The search for limits: one for the period of each rate, or one for a minute."""
    model = _trial(options["rates"], options)
    return LimitSearch(
        target, [rate.period for rate in model.plan.rates] or [_MINUTE], model, grouping_of(options["by"])
    )


def _translated(outcome: Found, tries: Tries, search: LimitSearch | None, server: str) -> str:
    """The suggested limit, or otherwise the given one, as configuration of another server."""
    if search is None:
        return translate(next(iter(tries.values()))[0], server)
    from traffik_cli.replay.applied import trials_suggested

    trials = trials_suggested(outcome.suggestions, search.model)
    return "\n".join(
        f"# {group}\n{translate(each, server)}" if group else translate(each, server) for group, each in trials.items()
    )


def _write(outcome: Found, search: LimitSearch, filters: Filters, options: dict[str, Any]) -> None:
    """Write the suggested limits."""
    from traffik_cli.replay.applied import trials_suggested

    main = outcome.reports[-1]
    said = [f"Suggested by traffik replay: at most {search.target} refused, of {main.requests:,} requests."]
    said += [f"Looked at: {text}." for name in ("only", "where", "ignored") for text in options[name]]
    text = limits_text(trials_suggested(outcome.suggestions, search.model), search.by, filters.only, said)
    write_text(Path(options["write"]), text)


def _trial(rates: tuple[str, ...], options: dict[str, Any]) -> Trial:
    return trial_of(
        rates, strategy=options["strategy"], burst=options["burst"], cost=options["cost"], key=options["key"]
    )


def _sources(files: tuple[str, ...], synthetic: str | None) -> list[Readable]:
    if synthetic is not None:
        if files:
            raise ConfigurationError("--synthetic cannot be combined with files: leave one of them out")
        return [Made(traffic_of(synthetic))]
    if not files:
        raise ConfigurationError("which log? give one or more files, - for standard input, or --synthetic default")
    if files.count("-") > 1:
        raise ConfigurationError("standard input can be read once: give - once")
    for name in files:
        if name != "-" and Path(name).is_dir():
            raise ConfigurationError(f"{name} is a folder: give the logs in it")
    return list(spooled(list(files)))
