"""``traffik replay``: what a limit would have done to past traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from traffik.model.errors import ConfigurationError
from traffik.strategies.named import STRATEGIES
from traffik_cli.answers import failed, present, write_text
from traffik_cli.asked import Asked, asked_of, sources_of
from traffik_cli.following import Followed, stopping
from traffik_cli.replay.filters import Filters
from traffik_cli.replay.foreign import FOREIGN, translate
from traffik_cli.replay.formats import FORMATS
from traffik_cli.replay.ledgers import MOST
from traffik_cli.replay.pseudonyms import Pseudonyms
from traffik_cli.replay.reports import WORST
from traffik_cli.replay.writing import limits_text, tiers_text
from traffik_cli.runs import Found, Reading, replayed, since
from traffik_cli.searching import LimitSearch
from traffik_cli.watching import live_table

__all__ = ["replay"]

_TRUSTED: Final = "Proxies to trust: networks such as 10.0.0.0/8, or how many there are; none uses the peer's address."
_PSEUDONYMS: Final = "Show the same pseudonyms in every run with this key."
_TIER: Final = "The tier of all clients, where limits.toml has tiers, or the field of the log that names it."
_RATE: Final = 'Such as "100/min"; several are one limit, all or nothing.'


@click.command(
    short_help="Show what a limit would have done to an access log.",
    epilog="Exit codes: 0, 1 if a --fail-if holds, 2 for an error, 130 for an interrupt.",
)
@click.argument("files", nargs=-1, type=click.Path(path_type=str))
@click.option("--rate", "rates", multiple=True, metavar="RATE", help=_RATE)
@click.option("--strategy", type=click.Choice(list(STRATEGIES)), help="How the rate is counted.")
@click.option("--burst", type=click.IntRange(min=1), help="Requests at once, for token-bucket, leaky-bucket and gcra.")
@click.option(
    "--cost",
    default="1",
    show_default=True,
    metavar="UNITS",
    help="Quota of a request, or field:NAME.",
)
@click.option("--key", default="ip", show_default=True, help="ip, header:NAME, field:NAME or regex:PATTERN.")
@click.option("--policy", type=click.Path(), help="A limits.toml with throttles and rules, instead of --rate.")
@click.option("--tier", metavar="NAME|field:NAME", help=_TIER)
@click.option("--compare", "compared", multiple=True, metavar="RATE|FILE", help="Try this limit too, side by side.")
@click.option("--before", multiple=True, type=click.Path(), metavar="LOG", help="Show what has changed since this log.")
@click.option("--target-refused", "target", metavar="SHARE", help='Suggest a limit: "0.1%", "1% of clients".')
@click.option("--by", multiple=True, metavar="path|method|field:NAME", help="Suggest a limit for each of these.")
@click.option("--write", type=click.Path(), metavar="FILE", help="Write the suggested limits as a limits.toml.")
@click.option("--only", multiple=True, metavar="REQUESTS", help='Only these requests: "POST /login", "/api/**".')
@click.option("--where", multiple=True, metavar="CONDITION", help='Only requests with: "field:status=200", "!=", "*".')
@click.option("--ignore", "ignored", multiple=True, metavar="NETWORK", help="Leave out these clients: 10.0.0.0/8.")
@click.option("--as", "target_server", type=click.Choice(list(FOREIGN)), help="Show the limit as its configuration.")
@click.option("--client", metavar="KEY", help="Explain one client: its minutes, refusals, waits and paths.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="auto", show_default=True)
@click.option("--time-field", help="The field with the time, in JSON, CSV, …")
@click.option("--ip-field", help="The field with the client's address.")
@click.option("--method-field", help="The field with the method.")
@click.option("--path-field", help="The field with the path.")
@click.option("--forwarded-field", help="The field with X-Forwarded-For.")
@click.option("--log-format", "template", metavar="FORMAT", help="As in nginx's log_format or Apache's LogFormat.")
@click.option("--pattern", metavar="REGEX", help="A pattern with groups named ip, time, request, …")
@click.option("--trusted-proxies", "trusted", multiple=True, metavar="NETWORK|NUMBER|none", help=_TRUSTED)
@click.option("--timezone", metavar="NAME", help="For times without a zone: Europe/Berlin. Default: UTC.")
@click.option("--day-first/--month-first", default=None, help="For dates such as 10/11/2025, if no line shows which.")
@click.option("--every", metavar="TIME", help="The time between requests, for logs without times: 100ms.")
@click.option("--window", metavar="TIME", help="How late a line may be and still be put in order. 1h; to follow, 5s.")
@click.option("--follow", is_flag=True, help="Read on as the log grows, with a live table, until Ctrl-C.")
@click.option("--synthetic", metavar="SETTINGS", help='Made-up traffic instead of files: "default", "seed=7,hours=6".')
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes to use.")
@click.option("--top", type=click.IntRange(0, 1000), default=10, show_default=True, help="Worst-hit clients to show.")
@click.option("--most-clients", type=click.IntRange(min=1), default=MOST, show_default=True, help="Clients kept apart.")
@click.option("--plot", type=click.Path(), help="Draw a picture: a .png, .svg or .pdf.")
@click.option("--html", type=click.Path(), help="Write a page, in one file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--anonymise", is_flag=True, help="Show pseudonyms in the place of clients and addresses.")
@click.option("--anonymise-key", metavar="TEXT", envvar="TRAFFIK_ANONYMISE_KEY", help=_PSEUDONYMS)
@click.option("--fail-if", "conditions", multiple=True, metavar="CONDITION", help='Exit with 1: "refused > 1%".')
def replay(files: tuple[str, ...], **options: Any) -> int:
    """Replay access logs and show which clients a limit would have refused, when, and for how long.

    FILES are access logs of web servers, proxies, load balancers and collectors, plain or compressed (gzip, bzip2, xz,
    zstd); - is standard input. The format is detected. Several files are merged by time.
    """
    asked = asked_of(files, options)
    try:
        outcome = _outcome(files, asked, options)
    except ConfigurationError as error:
        if asked.pseudonyms is None:
            raise
        raise ConfigurationError(asked.pseudonyms.text(str(error))) from None  # it may quote a line
    text = _text(asked.pseudonyms, options["client"])
    present(outcome, options, text)
    if options["target_server"]:
        click.echo(_translated(outcome, asked, options["target_server"]))
    if asked.search is not None and options["write"]:
        write_text(Path(options["write"]), text(_limits(outcome, asked.search, asked.filters, options)))
    return failed(outcome, asked.conditions)


def _outcome(files: Sequence[str], asked: Asked, options: Mapping[str, Any]) -> Found:
    """Replay what is asked for."""
    worst = max(options["top"], WORST if options["html"] else 0)
    pictured, before = bool(options["plot"] or options["html"]), options["before"]
    reading = Reading([], asked.form, asked.window, options["jobs"], options["most_clients"], filters=asked.filters)
    if options["follow"]:
        with stopping() as stop:
            followed = [Followed(name, stop) for name in files]
            watch = partial(live_table, pseudonyms=asked.pseudonyms)
            reading = replace(reading, sources=followed, watch=watch)
            return replayed(reading, asked.tries, None, worst, options["client"], pseudonyms=asked.pseudonyms)
    reading = replace(reading, sources=sources_of(files, options["synthetic"]))
    outcome = replayed(
        reading,
        asked.tries,
        asked.search,
        worst,
        options["client"],
        pictured=pictured,
        compared=bool(before),
        pseudonyms=asked.pseudonyms,
    )
    if not before:
        return outcome
    earlier = replace(reading, sources=sources_of(before))
    main = dict(list(asked.tries.items())[:1])
    return since(replayed(earlier, main, None, worst, compared=True, pseudonyms=asked.pseudonyms), outcome)


def _text(pseudonyms: Pseudonyms | None, client: str | None) -> Callable[[str], str]:
    """What makes of a text, such as the command, one that may be shown."""
    if pseudonyms is None:
        return str
    if client is None:
        return pseudonyms.text
    return lambda text: pseudonyms.text(text.replace(client, pseudonyms.of(client)))


def _translated(outcome: Found, asked: Asked, server: str) -> str:
    """The limit that is suggested, or else the one that is tried, in the words of another server."""
    if asked.search is None:
        return translate(next(iter(asked.tries.values()))[0], server)
    from traffik_cli.replay.applied import trials_suggested

    trials = trials_suggested(outcome.suggestions, asked.search.model)
    return "\n".join(
        f"# {group}\n{translate(each, server)}" if group else translate(each, server) for group, each in trials.items()
    )


def _limits(outcome: Found, search: LimitSearch, filters: Filters, options: Mapping[str, Any]) -> str:
    """The suggested limits as a file."""
    from traffik_cli.replay.applied import trials_suggested

    main = outcome.reports[-1]
    said = [f"Suggested by traffik replay: at most {search.target} refused, of {main.requests:,} requests."]
    said += [f"Looked at: {text}." for name in ("only", "where", "ignored") for text in options[name]]
    trials = trials_suggested(outcome.suggestions, search.model)
    if options["tier"]:
        groups = dict.fromkeys(each.group for each in outcome.suggestions)
        return tiers_text({group: trials.get(group) for group in groups}, filters.only, said)
    return limits_text(trials, search.by, filters.only, said)
