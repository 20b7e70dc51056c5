"""Warnings about a replay whose result cannot be right, each with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from traffik_cli.replay.addresses import address_in, is_private
from traffik_cli.replay.logs import LogReport
from traffik_cli.replay.reports import LimitReport, ScenarioReport
from traffik_cli.replay.times import UTC, Calendar, is_local, turned_back

__all__ = ["ReplayWarning", "wait_of", "warnings_of"]

_MUCH: Final = 0.1
"""The share of malformed lines, or of requests without a key, that makes a warning."""

_MOST: Final = 0.9
"""The share of requests from private addresses that makes a warning."""

_FEW: Final = 20
"""So many requests of one client may be all there were."""

_SEVERAL: Final = 5
"""So many addresses may end with 0 by chance."""

_NAMES: Final = 3
"""Examples that are shown."""

_DATE: Final = re.compile(r"\[?\d{4}[-/.]\d\d[-/.]\d\d\]?")

_UNITS: Final = (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000))

_PROXIES: Final = (
    "if these are proxies, log the client's address, or X-Forwarded-For and give --trusted-proxies; or choose --key"
)


@dataclass(frozen=True, slots=True)
class ReplayWarning:
    """One reason.

    Attributes:
        id: its kind, the same in every release.
        text: what was found, and what to do about it.
        log: the log that it is about; None if it is about all.
    """

    id: str
    text: str
    log: str | None = None


def warnings_of(
    found: ScenarioReport, logs: Sequence[LogReport], calendar: Calendar = UTC, copies: int = 1
) -> list[ReplayWarning]:
    """All warnings about a replay of logs.

    Args:
        found: the result.
        logs: what was read.
        calendar: filled in what times do not say.
        copies: how often each request stands in the logs.
    """
    warnings = [warning for log in logs for warning in _of_log(log)]
    times = list(_of_times(found, logs, calendar))
    warnings += times
    if copies > 1 and not times:  # times that mean two instants, or all mean one, make requests look like copies
        warnings.append(_of_copies(copies, several=len(logs) > 1))
    warnings += [warning for limit in found.limits for warning in _of_keys(found, limit)]
    return warnings + list(_of_rules(found)) + [each for limit in found.limits for each in _of_tiers(limit)]


def wait_of(micros: int) -> str:
    """A span that is at least so long, as ``--window`` takes it."""
    unit, size = next((each for each in _UNITS if micros >= 2 * each[1]), _UNITS[-1])
    return f"{micros // size + 1}{unit}"


def _of_log(log: LogReport) -> Iterator[ReplayWarning]:
    if log.lines and not log.requests:
        yield ReplayWarning(
            "nothing-read",
            f"no request could be read in {log.lines} lines: describe them with --format, --log-format or --pattern",
            log.name,
        )
    elif log.malformed > _MUCH * log.lines:
        yield ReplayWarning(
            "malformed",
            f"{log.malformed} of {log.lines} lines are malformed and left out: the result is about the others alone",
            log.name,
        )
    if log.late:
        yield ReplayWarning(
            "late",
            f"{log.late} requests stand too late in the log to be put in order, and were taken at a later time: the "
            f"result is wrong. Give --window {wait_of(log.worst)}",
            log.name,
        )
    if log.requests and log.detected.proxies == "unused":
        yield ReplayWarning(
            "forwarded-unused",
            "X-Forwarded-For names other clients than the addresses that are counted: if these are those of your "
            "proxies or of a CDN, give --trusted-proxies; if they are not, --trusted-proxies none",
            log.name,
        )
    if log.requests and log.detected.time is None:
        yield ReplayWarning(
            "no-time",
            "no line has a time: the requests were taken to be made at one instant, or --every so often. Log the time",
            log.name,
        )


def _of_copies(copies: int, *, several: bool) -> ReplayWarning:
    where, remedy = ("logs", "give each log once") if several else ("log", "remove the copies, for example with uniq")
    return ReplayWarning(
        "copies",
        f"each request stands {copies} times in the {where}, at one instant and with one key, and was counted {copies} "
        f"times: too many are refused. If these are copies, {remedy}",
    )


def _of_times(found: ScenarioReport, logs: Sequence[LogReport], calendar: Calendar) -> Iterator[ReplayWarning]:
    times = [(log.name, log.detected.time.text) for log in logs if log.detected.time is not None]
    for name, text in times:
        if _DATE.fullmatch(text):
            said = (
                f"the time, such as {text}, is a date without a clock: all requests of a day were taken to be made at"
            )
            yield ReplayWarning("no-time", f"{said} one instant. Name the field of the time with --time-field", name)
            return
    if times and found.first == found.last and found.requests > _FEW:
        said = (
            f"all {found.requests} requests have the same time, such as {times[0][1]}: name its field with --time-field"
        )
        yield ReplayWarning("one-time", said)
    local = [(name, text) for name, text in times if is_local(text)]
    if local and found.first is not None and found.last is not None and turned_back(calendar, found.first, found.last):
        said = "the clock was turned back by an hour during this log. Its times name no zone, so the requests of"
        yield ReplayWarning(
            "hour-twice", f"{said} two hours were taken for those of one: log times in UTC", local[0][0]
        )


def _of_keys(found: ScenarioReport, limit: LimitReport) -> Iterator[ReplayWarning]:
    keys, what = limit.keys, _what(found, limit)
    if limit.requests and limit.keyless > _MUCH * limit.requests:
        text = f"{what}{limit.keyless} of {limit.requests} requests have no key, and nothing limits them"
        yield ReplayWarning("keyless", text)
    if limit.clients == 1 and keys.requests > _FEW:
        yield ReplayWarning("one-key", f"{what}all requests have one key, {keys.busiest}: {_PROXIES}")
        return
    if limit.key != "ip":
        return
    if keys.addresses < 0.5 * keys.looked_at:
        yield ReplayWarning(
            "no-addresses",
            f"{what}{keys.looked_at - keys.addresses} of {keys.looked_at} keys are not addresses, such as "
            f"{keys.other}: name the client's field with --ip-field, or the format with --format or --log-format",
        )
    elif keys.addresses > _SEVERAL and keys.masked > _MOST * keys.addresses:
        yield ReplayWarning(
            "masked-addresses",
            f"{what}{keys.masked} of {keys.addresses} addresses end with 0, as if the log did not keep their ends: up "
            f"to 256 clients count as one, and more of them are refused than would be",
        )
    elif keys.requests > _FEW and keys.private > _MOST * keys.requests:
        share = 100 * keys.private // keys.requests
        yield ReplayWarning("private-addresses", f"{what}{share} % of requests come from private addresses: {_PROXIES}")
    elif keys.requests <= _FEW:
        return
    elif _is_inside(keys.busiest) and keys.busiest_requests > _MUCH * limit.requests:
        yield ReplayWarning(
            "private-busiest",
            f"{what}the busiest client, {keys.busiest}, sent {keys.busiest_requests} of {limit.requests} requests, and "
            f"is a private address: if it is a proxy, log the client's address; if it checks health, give --ignore",
        )
    elif keys.private > _MUCH * limit.requests:
        share = 100 * keys.private // limit.requests
        yield ReplayWarning(
            "private-part",
            f"{what}{share} % of requests come from private addresses, such as {keys.inside}: if these are proxies in "
            f"a part of the log, log the client's address; if they are services of yours, give --ignore",
        )


def _is_inside(key: str | None) -> bool:
    address = None if key is None else address_in(key.partition("/")[0])
    return address is not None and is_private(address)


def _of_tiers(limit: LimitReport) -> Iterator[ReplayWarning]:
    if limit.requests and limit.tiers and all(each.name is None for each in limit.tiers):
        yield ReplayWarning(
            "unknown-tier",
            f"{limit.uid}: no request has the field that names the tier, so all were counted in the default tier: name "
            f"another with --tier field:NAME",
        )
    unknown = [each for each in limit.tiers if each.name not in {None, each.tier}]
    if unknown:
        requests, names = (
            sum(each.requests for each in unknown),
            ", ".join(repr(each.name) for each in unknown[:_NAMES]),
        )
        yield ReplayWarning(
            "unknown-tier",
            f"{limit.uid}: {requests} requests have names that are no tiers, such as {names}, and were counted in the "
            f"default tier: add them to [throttle.tiers], or name the field of the tier with --tier field:NAME",
        )


def _what(found: ScenarioReport, limit: LimitReport) -> str:
    return f"{limit.uid}: " if len(found.limits) > 1 else ""


def _of_rules(found: ScenarioReport) -> Iterator[ReplayWarning]:
    if not found.requests or found.pathless is None:
        return
    if found.pathless > _MUCH * found.requests:
        yield ReplayWarning(
            "no-path",
            f"{found.pathless} of {found.requests} requests have no path, so that no rule on paths applies to them: "
            f"name its field with --path-field",
        )
    for limit in found.limits:
        if not limit.requests:
            yield ReplayWarning(
                "no-match", f"{limit.uid} applies to no request of the log: its rules match no path in it"
            )
