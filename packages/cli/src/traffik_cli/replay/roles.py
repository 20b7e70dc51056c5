"""Which field of a log is the client, the time, the path: told by names, and by the values in its first lines.

A name alone proves nothing: ``host`` is the client in one log and the server in another. So a field needs a known name
and values that fit it. If no field has both, a field whose values fit is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from traffik_cli.replay.addresses import address_in, hop_in, is_private
from traffik_cli.replay.records import NOTHING, Fields, Layout, Record, flattened, text_of
from traffik_cli.replay.times import ZONES, Calendar, instant

__all__ = ["Sample", "layout_of", "names_time", "says_time", "time_in"]

_Test = Callable[[Any], bool]

_SINCE: Final = 946_684_800_000_000
"""2000-01-01. A number that would be before it is a duration or a count, not a time."""

_NAMES: Final = {
    role: tuple(text.split())
    for role, text in {
        "time": """
            edgestarttimestamp startutc timeutc utctime timestamputc datetimeutc starttime requeststarttime startedat
            timestarted start @timestamp
            timestamp time ts timeiso8601 timelocal datetime requesttime requesttimeepoch eventtime reqtimesec
            timeunixnano msec asctime realtimetimestamp epoch date created createdat when receivedat
            timegenerated eventtimestamp eventtimestampms requestreceivedtimestamp querytimestamp requestedat
        """,
        "client": """
            cfconnectingip httpcfconnectingip trueclientip httptrueclientip fastlyclientip httpxrealip clientip
            clientaddress clientaddr clientremoteaddr sourceip sourceaddress realip xrealip cip cliip remoteip
            remoteipaddress remoteaddr remoteaddress downstreamremoteaddress remotehost clienthost calleripaddress ip
            ipaddress
            netpeerip netsockpeeraddr srcip src source client remote host peer h addr address
        """,
        "forwarded": """
            xforwardedfor httpxforwardedfor proxyaddxforwardedfor forwardedfor csxforwardedfor xff
            downstreamxforwardedfor requestxforwardedfor fwd httpforwarded forwarded
        """,
        "method": """
            method requestmethod httpmethod verb csmethod clientrequestmethod reqmethod httprequestmethod m
        """,
        "path": """
            path requestpath uripath urlpath csuristem csuri clientrequestpath clientrequesturi requesturi uri url
            requesturl urloriginal originalurl urlfull httpurl httptarget rawpath reqpath resourcepath target
            route request u
        """,
        "request": """
            request requestline httprequestline reqline req r
        """,
    }.items()
}
"""Names of fields, the best first, in lower case and without signs."""

_PLAIN: Final = ("time", "timestamp", "@timestamp", "ts", "datetime", "epoch")
"""Names of times that are taken at their word if the values could be small numbers as well."""

_WEAK: Final = frozenset(["src", "source", "client", "remote", "host", "peer", "h", "addr", "address"])
"""Names that are those of clients only where the values are addresses."""

_OTHERS: Final = re.compile(
    r"(^|[._ /-])(server|host|dest|destination|upstream|backend|local|target|origin|dst|node|pod|kubernetes|container|"
    r"edge|proxy(?![._-]protocol)|gateway|lb|balancer|ingress|router|"
    r"listener|bucket|referer|referrer|resolver|dns|s[-_]ip)([._ /-]|$)"
)
"""Names that speak of another end of a connection than the client's."""

_OWN: Final = re.compile(r"(?<!upstream[._-])(client|remote|source|peer|caller|visitor)")
_UNIT: Final = re.compile(r" *[(\[][^)\]]*[)\]]$")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

_HINTS: Final = re.compile(r"ip|addr|client|remote|source|src|peer|user|visitor|caller", re.IGNORECASE)
_PATHS: Final = re.compile(r"path|ur[il]", re.IGNORECASE)
_SIGNS: Final = re.compile(r"[^a-z0-9@]")
_LINE: Final = re.compile(r"[A-Za-z_-]{3,20} (\S.* HTTP/[0-9.]+|(/|[a-z]+://)\S*)")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{1,16}|[a-z]{3,7}")
_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
_TARGET: Final = re.compile(r"(/|[a-z][a-z0-9+.-]*://|\*$)\S*")
_DATE: Final = re.compile(r"\[?\d{4}[-/]\d\d[-/]\d\d|\[?\d\d?[-/]\w{3}[-/]\d{4}|\d\d?([./])\d\d?\1\d{4}")
_HALF: Final = re.compile(r"[AaPp]\.?[Mm]\.?")
_ZONE: Final = re.compile(rf"[+-]\d\d:?\d\d|{'|'.join(ZONES)}")
_ZONES: Final = frozenset(["tz", "timezone", "zone", "utcoffset"])
_TIME: Final = re.compile(r"\d\d?:\d\d(:\d\d([.,]\d+)?)?( [AaPp][Mm])?( ?(Z|[+-]\d\d:?\d\d))?\]?")


@dataclass(slots=True)
class Sample:
    """The first records of a log, by field.

    Attributes:
        records: how many there are.
        columns: the values that are there, by dotted name, in the order in which fields were first seen.
    """

    records: int = 0
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Look at one more record."""
        self.records += 1
        for name, value in flattened(record).items():
            if isinstance(value, list):
                if not value:
                    continue
            elif value in NOTHING:
                continue
            self.columns.setdefault(name, []).append(value)

    def share(self, name: str, test: _Test) -> float:
        """The share of a field's values that pass a test; 0 for a field that has none."""
        values = self.columns.get(name, ())
        return sum(map(test, values)) / len(values) if values else 0.0

    def lists(self, names: Iterable[str]) -> bool:
        """Whether a field holds lists, as a forwarding header does."""
        return any("," in text_of(value) for name in names for value in self.columns.get(name, ()))

    def example(self, names: Iterable[str]) -> str | None:
        """The first value of the first of the fields that has one."""
        return next((text_of(self.columns[name][0]) for name in names if self.columns.get(name)), None)


def layout_of(sample: Sample, fields: Fields, calendar: Calendar) -> Layout:
    """Where the facts of a request stand, as far as the sample shows it; what the user says comes first."""
    tests = _tests(calendar)
    request = _passing(sample, "request", tests) or _unnamed(sample, tests["request"], 0.5)
    method = (fields.method,) if fields.method else _passing(sample, "method", tests)
    path = (fields.path,) if fields.path else _passing(sample, "path", tests)
    if not method and not request:
        method = _unnamed(sample, lambda value: text_of(value) in _METHODS, 0.5)[:1]
        able = [name for name in _unnamed(sample, tests["path"], 0.5) if not _is_other(name)]
        path = path or tuple(sorted(able, key=lambda name: _PATHS.search(name) is None))[:1]
    return Layout(
        time=((fields.time,),) if fields.time else _time(sample, tests),
        client=(fields.ip,) if fields.ip else _client(sample, tests["client"]),
        forwarded=(fields.forwarded,) if fields.forwarded else _passing(sample, "forwarded", tests),
        method=method,
        path=path,
        request=request,
    )


def _tests(calendar: Calendar) -> dict[str, _Test]:
    def is_time(value: Any) -> bool:
        now = instant(text_of(value) if isinstance(value, bytes | str) else value, calendar)
        return now is not None and now >= _SINCE

    return {
        "time": is_time,
        "instant": lambda value: instant(text_of(value) if isinstance(value, bytes) else value, calendar) is not None,
        "client": _is_client,
        "forwarded": _is_client,
        "method": lambda value: _METHOD.fullmatch(text_of(value)) is not None,
        "path": lambda value: _TARGET.fullmatch(text_of(value)) is not None,
        "request": lambda value: _LINE.fullmatch(text_of(value)) is not None,
    }


def _is_client(value: Any) -> bool:
    """Whether a value is an address or a list of them."""
    if isinstance(value, int | float):
        return False
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], int):  # a host and its port
        value = value[0]
    return all(hop_in(hop) is not None for hop in text_of(value).split(","))


def _is_inside(value: Any) -> bool:
    address = address_in(text_of(value))
    return address is not None and is_private(address)


def _forms(name: str) -> list[str]:
    """A dotted name, and its ends, as they are compared, without a unit in brackets behind it."""
    parts = _UNIT.sub("", name).split(".")
    return [_SIGNS.sub("", "".join(parts[place:]).lower()) for place in range(len(parts))]


def _named(sample: Sample, role: str) -> list[str]:
    """The fields whose names are known for a role, the best first."""
    ranks = {name: rank for rank, name in enumerate(_NAMES[role])}
    found: list[tuple[int, int, str]] = []
    for name in sample.columns:
        rank = min((ranks[form] for form in _forms(name) if form in ranks), default=None)
        if rank is not None:
            found.append((rank, name.count("."), name))
    return [name for _, _, name in sorted(found, key=lambda each: each[:2])]


def names_time(columns: Iterable[str]) -> bool:
    """Whether one of the names is known as that of a time."""
    return any(form in _NAMES["time"] for name in columns for form in _forms(name))


def _passing(sample: Sample, role: str, tests: dict[str, _Test]) -> tuple[str, ...]:
    return tuple(name for name in _named(sample, role) if sample.share(name, tests[role]) >= 0.5)


def _unnamed(sample: Sample, test: _Test, least: float) -> tuple[str, ...]:
    """All fields of which most values pass a test and that most records have."""
    return tuple(
        name
        for name, values in sample.columns.items()
        if len(values) >= least * sample.records and sample.share(name, test) >= max(least, 0.8)
    )


def _client(sample: Sample, test: _Test) -> tuple[str, ...]:
    """Fields with addresses that are the client's by name; else with addresses; else by name alone."""
    named = _named(sample, "client")
    sure = [name for name in named if sample.share(name, test) >= 0.5 and not _is_other(name)]
    forwarded = {*_named(sample, "forwarded")}
    able = [name for name in _unnamed(sample, test, 0.2) if not _is_other(name) and name not in forwarded]
    hinted = [name for name in able if name not in sure and _HINTS.search(name)]
    if sure and (not hinted or _forms(sure[0])[-1] not in _WEAK):
        return tuple(sure)
    if hinted or able:
        # Without a name, the address of the server is the likeliest to be private.
        return tuple(hinted or sorted(able, key=lambda name: sample.share(name, _is_inside) >= 0.5)[:1])
    return tuple(name for name in named if _forms(name)[-1] not in _WEAK and not _is_other(name))


def _is_other(name: str) -> bool:
    """Whether a name speaks of another end of a connection than the client's."""
    parts = _HUMP.sub("_", name).lower()
    return _OTHERS.search(parts) is not None and parts != "host" and _OWN.search(parts) is None


def _time(sample: Sample, tests: dict[str, _Test]) -> tuple[tuple[str, ...], ...]:
    """Fields that are times by name and value; else by value; else by a name that can mean nothing else."""
    pair = _pair(sample)
    if pair:
        return (pair,)
    named = _named(sample, "time")
    for least in (0.5, 0.01):
        found = [name for name in named if sample.share(name, tests["time"]) >= least]
        if found:
            return tuple((name,) for name in _finest(sample, found))
    # A number of that size may be anything; a date is a date.
    others = sorted(_unnamed(sample, tests["time"], 0.8), key=lambda name: sample.share(name, _is_number) >= 0.5)
    plain = [name for name in named if _forms(name)[-1] in _PLAIN and sample.share(name, tests["instant"]) >= 0.5]
    return tuple((name,) for name in others or plain)


def time_in(sample: Sample, calendar: Calendar) -> str | None:
    """The best field that holds times, by name and value or else by value; None if there is none."""
    test = _tests(calendar)["time"]
    named = (name for name in _named(sample, "time") if sample.share(name, test) >= 0.5)
    return next(named, None) or next(iter(_unnamed(sample, test, 0.8)), None)


def _finest(sample: Sample, names: list[str]) -> list[str]:
    """The names of times, in front one that tells more instants apart: the others may be when lines were collected."""
    different = {name: len({text_of(value) for value in sample.columns[name]}) for name in names}
    plain = [name for name in names if _forms(name)[-1] in _PLAIN]
    best = max(plain, key=lambda name: different[name], default=names[0])
    if different[best] <= 5 * different[names[0]] or 10 * different[names[0]] > sample.records:
        return names
    return [best, *(name for name in names if name != best)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or text_of(value).replace(".", "", 1).isdigit()


def says_time(sample: Sample, layout: Layout, calendar: Calendar) -> bool:
    """Whether the fields of the time hold times at all."""
    test = _tests(calendar)["instant"]
    return any(len(names) > 1 or any(sample.share(name, test) > 0 for name in names) for names in layout.time)


def _pair(sample: Sample) -> tuple[str, ...]:
    """Fields that are a time together: a date, a clock right behind it or named as a time, and what belongs to that."""
    names = list(sample.columns)
    dates = [name for name in names if sample.share(name, _whole(_DATE)) >= 0.8]
    clocks = [name for name in names if sample.share(name, _whole(_TIME)) >= 0.8]
    for date in dates:
        behind = names[names.index(date) + 1 : names.index(date) + 2]
        found: Sequence[str] = [name for name in clocks if name in behind or "time" in name.lower()]
        if found:
            return date, found[0], *_more(sample, found[0])
    return ()


def _more(sample: Sample, clock: str) -> Iterator[str]:
    """The fields that belong to a clock: whether it is morning or afternoon, and the zone."""
    names = list(sample.columns)
    behind = names[names.index(clock) + 1 :][:2]
    for pattern in (_HALF, _ZONE):
        for name in names:
            near = name == behind[0] if behind else False
            if (near or _SIGNS.sub("", name.lower()) in _ZONES) and sample.share(name, _whole(pattern)) >= 0.8:
                behind = behind[1:] if near else behind
                yield name
                break


def _whole(pattern: re.Pattern[str]) -> _Test:
    return lambda value: pattern.fullmatch(text_of(value)) is not None
