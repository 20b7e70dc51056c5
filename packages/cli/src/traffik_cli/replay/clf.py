"""Common and Combined Log Format: ``host ident user [time zone] "request" status bytes "referer" "agent"``, and more.

A line counts if it has a host, a time and something behind it; a request that is cut short matches no rule on paths
and is a request all the same. The quick way splits at spaces and looks at a time once as long as it stays the same;
a line that is not so plain (a user with spaces, say) is read by a pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from traffik_cli.replay.batches import SHOWN, Batch, Hit, Malformed, Parsed, Wanted
from traffik_cli.replay.clients import Clients
from traffik_cli.replay.records import Layout, Record, text_of
from traffik_cli.replay.requests import asked_in
from traffik_cli.replay.times import UTC, Calendar, bracketed

__all__ = ["COMMON", "CommonLines", "CommonLog", "is_quick"]

# A client chooses its user, and may put a time in it, but no plain quote: servers escape those. So the time of the line
# is the one right before the first quote.
_LINE: Final = re.compile(
    rb"""(?P<host>[^\s,{"<][^\s,]*(?:, ?[^\s,]+)*)\s(?P<ident>\S*)\s(?P<user>(?:[^"\\]|\\.)*?)\s?"""
    rb"""(?P<time>\[[^\]\[]*\])\s(?P<rest>".*)""",
    re.DOTALL,
)
_UNQUOTED: Final = re.compile(
    rb"(?P<host>[^\s{\"<]\S*)\s(?P<ident>\S*)\s(?P<user>.*?)\s?(?P<time>\[[^\]\[]*\])\s(?P<rest>.*)", re.DOTALL
)
_REST: Final = re.compile(
    rb'"(?P<request>(?:[A-Z]+ \S+ HTTP/[0-9.]+(?="(?: |$))|(?:[^"\\]|\\.)*))"'
    rb"(?: (?P<status>\d{3}|-))?(?: (?P<bytes>\d+|-))?"
    rb'(?: "(?P<referer>(?:[^"\\]|\\.)*)")?(?: "(?P<agent>(?:[^"\\]|\\.)*)")?'
    rb'(?: "(?P<forwarded>[0-9A-Fa-f][0-9A-Fa-f:., ]*)")?'
)

# Some formats have a duration or a name of the server between the time and the request, or no quotes around it.
_AMID: Final = re.compile(
    rb'"(?P<request>[A-Z]+ \S+(?: HTTP/[0-9.]+)?)"|(?<!\S)(?P<bare>[A-Z]{3,7} (?:/|[a-z]+://)\S*)(?!\S)'
)

_FRONT: Final = re.compile(rb'"(?P<quoted>[^"]*)"\s|(?P<bare>[^\s,"]+(?:, ?[^\s,"]+)*)\s')
_VHOST: Final = re.compile(rb"(?!\d+\Z)(?:(?:[\w.*-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?|[0-9A-Fa-f:., ]+)")

_MOST_TIMES: Final = 4096

COMMON: Final = Layout((("time",),), ("host",), ("forwarded",), ("method",), ("path",))
"""Where the facts stand in `CommonLines`."""


@dataclass(frozen=True, slots=True)
class CommonLines:
    """Makes records of lines.

    Attributes:
        vhost: whether the name of the server stands in front, as in Apache's ``vhost_combined``, or X-Forwarded-For.
    """

    vhost: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the fields."""
        names = ("host", "ident", "user", "time", "request", "status", "bytes", "referer", "agent", "forwarded")
        return (*(("vhost",) if self.vhost else ()), *names, "method", "path")

    def __call__(self, line: bytes) -> Record | str:
        vhost = b""
        if self.vhost:
            front = _FRONT.match(line)
            vhost = b"" if front is None else front["quoted"] or front["bare"] or b"-"
            if front is None or _VHOST.fullmatch(vhost) is None:
                return "no name of a server"
            line = line[front.end() :]
        match = _LINE.fullmatch(line) or _UNQUOTED.fullmatch(line)
        if match is None:
            return "no host, time and request"
        record: dict[str, Any] = match.groupdict()
        if self.vhost:
            record["vhost"] = vhost
        rest = record.pop("rest")
        tail = _REST.match(rest)
        if tail is not None:
            record.update(tail.groupdict())
        else:
            record["request"] = _amid(rest)
        if record["request"] is not None:
            record["method"], record["path"] = asked_in(record["request"])
        return record


def _amid(rest: bytes) -> bytes | None:
    """The request somewhere behind the time; None if there is none."""
    found = _AMID.search(rest)
    return None if found is None else found["request"] or found["bare"]


def is_quick(line: bytes) -> bool:
    """Whether `CommonLog` is quick with a line: it begins with an address without a port, and has no odd spaces."""
    parts = line.split(b" ", 5)
    if len(parts) < 6 or parts[3][:1] != b"[" or parts[4][-1:] != b"]" or parts[5][:1] != b'"':
        return False
    host = parts[0]
    return host[:1] != b"[" and b"," not in host and host.count(b":") != 1


@dataclass(frozen=True, slots=True)
class CommonLog:
    """Reads hosts, and requests if rules look at them, the quick way.

    Attributes:
        wanted: what is to be read of every line: one key, the address.
        calendar: fills in what times do not say.
    """

    wanted: Wanted
    calendar: Calendar = UTC

    def read(self, block: bytes) -> Parsed:
        lines = block.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        slow = _Slow(self.calendar)
        return _requests(lines, slow) if self.wanted.request else _hosts(lines, slow)


class _Slow:
    """Reads the lines of a block that are not plain, and every time once."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._parse = CommonLines()
        self._clients = Clients(None)
        self._times: dict[bytes, int | None] = {}
        self.bad: list[Malformed] = []

    def time(self, stamp: bytes) -> int | None:
        """µs of a time in brackets; None if it is none."""
        try:
            return self._times[stamp]
        except KeyError:
            if len(self._times) >= _MOST_TIMES:
                self._times.clear()
            found = self._times[stamp] = bracketed(stamp, self._calendar)
            return found

    def read(self, number: int, line: bytes) -> tuple[int, tuple[Hit, Hit, Hit]] | None:
        """The instant, and host, method and path, of a line by the pattern; None if it is blank or malformed."""
        line = line.strip()
        if not line:
            return None
        record = self._parse(line)
        if isinstance(record, str):
            self.bad.append(Malformed(number, record))
            return None
        now = self.time(record["time"])
        if now is None:
            self.bad.append(Malformed(number, f"not a time: {text_of(record['time'])[:40]!r}"))
            return None
        return now, (self._clients.key(record["host"]), record.get("method"), record.get("path"))

    def parsed(self, batch: Batch, lines: int) -> Parsed:
        """What is in the block."""
        return Parsed(batch, lines, len(self.bad), self.bad[:SHOWN])


def _hosts(lines: list[bytes], slow: _Slow) -> Parsed:
    """Only hosts are wanted."""
    batch = Batch([], [])
    at, append = batch.times.append, batch.hits.append
    last = zone = now = None
    for number, line in enumerate(lines, 1):
        try:
            host, _, _, stamp, behind, rest = line.split(b" ", 5)
        except ValueError:
            stamp = behind = host = rest = b""
        if stamp != last or behind != zone:
            now, last, zone = slow.time(stamp + b" " + behind), stamp, behind
        if now is not None and host and rest[:1] == b'"':
            at(now)
            append(host)
            continue
        found = slow.read(number, line)
        if found is not None:
            at(found[0])
            append(found[1][0])
    return slow.parsed(batch, len(lines))


def _requests(lines: list[bytes], slow: _Slow) -> Parsed:
    """Hosts and requests are wanted."""
    batch = Batch([], [])
    at, append = batch.times.append, batch.hits.append
    known: dict[bytes, tuple[bytes | None, bytes | None]] = {}
    last = zone = now = None
    for number, line in enumerate(lines, 1):
        try:
            head, request, _ = line.split(b'"', 2)
            host, _, _, stamp, behind, more = head.split(b" ", 5)
        except ValueError:
            host = request = stamp = behind = more = b""
        if stamp != last or behind != zone:
            now, last, zone = slow.time(stamp + b" " + behind), stamp, behind
        if now is not None and host and not more and b"\\" not in request and b" HTTP/" in request:
            asked = known.get(request)
            if asked is None:
                asked = known[request] = asked_in(request)
            at(now)
            append((host, *asked))
            continue
        found = slow.read(number, line)
        if found is not None:
            at(found[0])
            append(found[1])
    return slow.parsed(batch, len(lines))
