"""Common and Combined Log Format: ``host ident user [time zone] "request" status bytes "referer" "agent"``.

A line counts if it has a host, a time and something behind it; a request that is cut short matches no rule on paths
and is a request all the same. The quick way splits at spaces and looks at a time once as long as it stays the same;
a line that is not so plain (a user with spaces, say) is read by a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import SHOWN, Hit, Malformed, Parsed, Run, Wanted, grouped
from traffik_cli.replay.selectors import Selector, header_key
from traffik_cli.replay.times import bracketed

__all__ = ["CommonLog", "looks_common"]

# A client chooses its user, and may put a time in it, but no plain quote: servers escape those. So the time of the line
# is the one right before the first quote.
_LINE: Final = re.compile(
    rb"""(?P<host>\S+) (?P<ident>\S*) (?P<user>(?:[^"\\]|\\.)*?) ?(?P<time>\[[^\]\[]*\]) (?P<rest>".*)""", re.DOTALL
)
_UNQUOTED: Final = re.compile(
    rb"(?P<host>\S+) (?P<ident>\S*) (?P<user>.*?) ?(?P<time>\[[^\]\[]*\]) (?P<rest>.*)", re.DOTALL
)
_REST: Final = re.compile(
    rb'"(?P<request>(?:[^"\\]|\\.)*)"(?: (?P<status>\d{3}|-))?(?: (?P<bytes>\d+|-))?'
    rb'(?: "(?P<referer>(?:[^"\\]|\\.)*)")?(?: "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_REQUEST: Final = re.compile(rb"(?P<method>[!#$%&'*+.^_`|~0-9A-Za-z-]+) (?P<target>\S+)(?: HTTP/[0-9.]+)?")

_HEAD: Final = ("host", "ident", "user")
_TAIL: Final = ("request", "status", "bytes", "referer", "agent", "method", "path")
_HEADERS: Final = {"referer": "referer", "user-agent": "agent"}

_MOST_TIMES: Final = 4096


def looks_common(line: bytes) -> bool:
    """Whether a line is of this format."""
    match = _matched(line.rstrip(b"\r\n"))
    return match is not None and bracketed(match["time"]) is not None


@dataclass(frozen=True, slots=True)
class CommonLog:
    """Reads Common and Combined Log Format.

    Raises:
        ConfigurationError: something is wanted that the format does not hold.
    """

    wanted: Wanted

    def __post_init__(self) -> None:
        for chosen in self.wanted.selectors:
            _field(chosen)

    def read(self, block: bytes) -> Parsed:
        lines = block.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        if [chosen.kind for chosen in self.wanted.selectors] == ["ip"]:
            return _requests(lines) if self.wanted.request else _hosts(lines)
        return self._all(lines)

    def _all(self, lines: list[bytes]) -> Parsed:
        bad: list[Malformed] = []
        times: dict[bytes, int | None] = {}
        fields = [(chosen, _field(chosen)) for chosen in self.wanted.selectors]
        hits = list(self._hits(lines, bad, times, fields))
        return Parsed(grouped(hits), len(lines), len(bad), bad[:SHOWN])

    def _hits(
        self,
        lines: list[bytes],
        bad: list[Malformed],
        times: dict[bytes, int | None],
        fields: list[tuple[Selector, str]],
    ) -> Iterator[tuple[int, Hit]]:
        bare, request = self.wanted.bare, self.wanted.request
        for number, line in enumerate(lines, 1):
            match = _matched(line)
            now = None if match is None else _cached(times, match["time"])
            if match is None or now is None:
                if line.strip():
                    bad.append(Malformed(number, _complaint(line)))
                continue
            tail = _REST.match(match["rest"])
            asked = None if tail is None else _REQUEST.match(tail["request"])
            keys = tuple(_pick(chosen, name, line, (match, tail, asked)) for chosen, name in fields)
            if bare:
                yield now, keys[0]
            elif request:
                yield now, (*keys, *(_request(asked)))
            else:
                yield now, keys


def _hosts(lines: list[bytes]) -> Parsed:
    """The quick way: only hosts are wanted."""
    runs: list[Run] = []
    bad: list[Malformed] = []
    times: dict[bytes, int | None] = {}
    last = zone = None
    keys: list[Hit] = []
    append = keys.append
    for number, line in enumerate(lines, 1):
        try:
            host, _, _, stamp, behind, rest = line.split(b" ", 5)
        except ValueError:
            stamp = behind = host = rest = b""
        if rest[:1] != b'"':
            host = b""
        if stamp == last and behind == zone and host:
            append(host)
            continue
        now = _cached(times, stamp + b" " + behind)
        if now is None or not host:
            now, host = _by_pattern(line, times)
            if now is None:
                if line.strip():
                    bad.append(Malformed(number, _complaint(line)))
                continue
            last = None
        else:
            last, zone = stamp, behind
        keys = [host]
        append = keys.append
        runs.append((now, keys))
    return Parsed(runs, len(lines), len(bad), bad[:SHOWN])


def _requests(lines: list[bytes]) -> Parsed:
    """The quick way: hosts and requests are wanted."""
    runs: list[Run] = []
    bad: list[Malformed] = []
    times: dict[bytes, int | None] = {}
    known: dict[bytes, tuple[bytes | None, bytes | None]] = {}
    last = zone = None
    hits: list[Hit] = []
    for number, line in enumerate(lines, 1):
        try:
            head, request, _ = line.split(b'"', 2)
            host, _, _, stamp, behind, more = head.split(b" ", 5)
        except ValueError:
            host = request = stamp = behind = more = b""
        if host and not more and b"\\" not in request:
            asked = known.get(request)
            if asked is None:
                asked = known[request] = _request(_REQUEST.match(request))
            if stamp == last and behind == zone:
                hits.append((host, *asked))
                continue
            now = _cached(times, stamp + b" " + behind)
            if now is not None:
                last, zone, hits = stamp, behind, [(host, *asked)]
                runs.append((now, hits))
                continue
        now, hit = _whole_by_pattern(line, times)
        last = None
        if now is not None:
            runs.append((now, [hit]))
        elif line.strip():
            bad.append(Malformed(number, _complaint(line)))
    return Parsed(runs, len(lines), len(bad), bad[:SHOWN])


def _matched(line: bytes) -> re.Match[bytes] | None:
    return _LINE.fullmatch(line) or _UNQUOTED.fullmatch(line)


def _whole_by_pattern(line: bytes, times: dict[bytes, int | None]) -> tuple[int | None, Hit]:
    match = _matched(line)
    if match is None:
        return None, None
    tail = _REST.match(match["rest"])
    return _cached(times, match["time"]), (match["host"], *_request(tail and _REQUEST.match(tail["request"])))


def _by_pattern(line: bytes, times: dict[bytes, int | None]) -> tuple[int | None, bytes]:
    match = _matched(line)
    return (None, b"") if match is None else (_cached(times, match["time"]), match["host"])


def _cached(times: dict[bytes, int | None], stamp: bytes) -> int | None:
    try:
        return times[stamp]
    except KeyError:
        if len(times) >= _MOST_TIMES:
            times.clear()
        found = times[stamp] = bracketed(stamp)
        return found


def _complaint(line: bytes) -> str:
    match = _matched(line)
    return "no host, time and request" if match is None else f"not a time: {match['time'].decode('utf-8', 'replace')}"


def _field(chosen: Selector) -> str:
    """The name of the group that holds what is chosen."""
    if chosen.kind == "ip":
        return "host"
    if chosen.kind == "regex":
        return ""
    names = _HEADERS if chosen.kind == "header" else {name: name for name in (*_HEAD, *_TAIL)}
    found = names.get(chosen.name.lower())
    if found is None:
        has = "Referer and User-Agent" if chosen.kind == "header" else ", ".join(names)
        raise ConfigurationError(
            f"Common and Combined Log Format has no {chosen.kind} {chosen.name!r}, only {has}: "
            f"log it, and pick it with regex:PATTERN"
        )
    return found


_Parts = tuple["re.Match[bytes]", "re.Match[bytes] | None", "re.Match[bytes] | None"]


def _pick(chosen: Selector, name: str, line: bytes, parts: _Parts) -> bytes | None:
    match, tail, asked = parts
    if chosen.kind == "header":
        value = None if tail is None else tail[name]
        return header_key(chosen.name, value) if value and value != b"-" else match["host"]
    if chosen.kind == "regex":
        found = re.search(chosen.name.encode(), line)
        return None if found is None else (found[1] if found.re.groups else found[0])
    if name in _HEAD:
        return match[name]
    if name in {"method", "path"}:
        method, path = _request(asked)
        return method if name == "method" else path
    return None if tail is None else tail[name]


def _request(asked: re.Match[bytes] | None) -> tuple[bytes | None, bytes | None]:
    """Method and path, without the query."""
    if asked is None:
        return None, None
    target = asked["target"].partition(b"?")[0]
    if not target.startswith(b"/") and b"://" in target:  # as a proxy is asked
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    return asked["method"], target
