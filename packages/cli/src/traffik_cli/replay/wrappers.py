"""Prefixes, quotes and JSON objects that log collectors put around a line, and how to remove them.

A wrapper may hold a time, which is used if the line inside has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from traffik_cli.replay.lines import narrowed
from traffik_cli.replay.records import Parse, Record, field_of, flattened
from traffik_cli.replay.times import ZONES

__all__ = ["PREFIXES", "Colours", "Envelope", "Prefix", "Quotes", "Wrapper", "envelopes_of", "peeled"]

_ISO: Final = (
    rb"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: [AaPp][Mm]\b)?"
    rb"(?:Z\b| ?[+-]\d\d:?\d\d\b| (?:" + b"|".join(name.encode() for name in ZONES) + rb")\b)?"
)
_TAG: Final = rb"[^\s:\[\]]+(?:\[[^\]\s]*\])?: "
_ADDRESS: Final = rb"\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]+:[0-9A-Fa-f.:]*)\]?"

_TIMES: Final = ("time", "timestamp", "@timestamp", "__REALTIME_TIMESTAMP", "_time", "ts", "date")
_CONTENTS: Final = (
    "log",
    "message",
    "MESSAGE",
    "msg",
    "line",
    "textPayload",
    "@message",
    "_raw",
    "event",
    "body",
    "text",
)
_ENVELOPES: Final = {"log": "docker's json-file", "MESSAGE": "journald"}


class Wrapper(Protocol):
    """A format around a line."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def open(self, line: bytes) -> tuple[bytes, Any] | None:
        """The line inside and the wrapper's time; None if the line is not wrapped this way."""
        ...


@dataclass(frozen=True, slots=True)
class Prefix:
    """Text in front of the line.

    Attributes:
        name: what it is called.
        pattern: matches it; its group ``time``, if it has one, is a time.
    """

    name: str
    pattern: re.Pattern[bytes]

    def open(self, line: bytes) -> tuple[bytes, Any] | None:
        match = self.pattern.match(line)
        if match is None:
            return None
        return line[match.end() :], match["time"] if "time" in self.pattern.groupindex else None


@dataclass(frozen=True, slots=True)
class Quotes:
    """The whole line as one value of CSV: in quotes, and those inside doubled."""

    name: str = "csv quotes"

    def open(self, line: bytes) -> tuple[bytes, Any] | None:
        if len(line) < 2 or line[:1] != b'"' or line[-1:] != b'"' or b'""' not in line:
            return None
        return line[1:-1].replace(b'""', b'"'), None


@dataclass(frozen=True, slots=True)
class Colours:
    """Escape sequences of a terminal."""

    name: str = "colours"

    def open(self, line: bytes) -> tuple[bytes, Any] | None:
        return (_COLOUR.sub(b"", line), None) if b"\x1b[" in line else None


_COLOUR: Final = re.compile(rb"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A record that holds the line as text.

    Attributes:
        name: what it is called.
        parse: makes the record.
        content: the field with the line.
        time: the field with the time; None without one.
    """

    name: str
    parse: Parse
    content: str
    time: str | None

    def open(self, line: bytes) -> tuple[bytes, Any] | None:
        record = self.parse(line)
        content = None if isinstance(record, str) else field_of(record, self.content)
        if isinstance(record, str) or not isinstance(content, str):
            return None
        inner = content.encode("utf-8", "surrogatepass").strip()
        return inner, None if self.time is None else field_of(record, self.time)


def envelopes_of(parse: Parse, records: Sequence[Record]) -> list[Envelope]:
    """The ways in which most of the records may hold lines."""
    found: list[Envelope] = []
    flat = list(map(flattened, records))
    names = list(dict.fromkeys(name for record in flat for name in record))
    for content in _CONTENTS:
        for name in names:
            holding = [record for record in flat if isinstance(record.get(name), str)]
            if name.rpartition(".")[2] == content and len(holding) * 2 > len(records):
                time = next((each for each in names if each.rpartition(".")[2] in _TIMES), None)
                read = narrowed(parse, [name] if time is None else [name, time])
                found.append(Envelope(_ENVELOPES.get(content, "records"), read, name, time))
    return found


def _prefix(name: str, pattern: bytes) -> Prefix:
    return Prefix(name, re.compile(pattern))


PREFIXES: Final[tuple[Wrapper, ...]] = (
    Colours(),
    Quotes(),
    _prefix("compose names", rb"[\w.-]+ *\| ?"),
    _prefix("kubectl names", rb"\[pod/[^\]\s]+\] "),
    _prefix("cri", rb"(?P<time>" + _ISO + rb") (?:stdout|stderr) [FP] "),
    _prefix(
        "syslog",
        rb"(?:<\d{1,3}>)?1 (?P<time>"
        + _ISO
        + rb') \S+ \S+ \S+ \S+ (?:-|(?:\[(?:[^\]\\"]|\\.|"[^"]*")*\])+) ?(?:\xef\xbb\xbf)?',
    ),
    _prefix(
        "syslog",
        rb"(?:<\d{1,3}>)?(?P<time>[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?) (?:\S+ )?" + _TAG,
    ),
    _prefix("syslog", rb"(?:<\d{1,3}>)?(?P<time>" + _ISO + rb") (?:\S+ )?" + _TAG),
    _prefix(
        "a level",
        rb"(?:\[?(?P<time>"
        + _ISO
        + rb")\]?(?: -)? *)?(?:\[\d+\] *)?\[?(?:DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL)\]?:?(?: +- +| +)"
        rb"(?:[\w.]+(?: -|:) +)?",
    ),
    _prefix(
        "ruby's logger",
        rb"[A-Z], \[(?P<time>" + _ISO + rb") #\d+\] +[A-Z]+ -- [^:]*: (?:\[[0-9a-f-]+\] )?",
    ),
    _prefix("a time", rb"(?P<time>" + _ISO + rb"):? +"),
    _prefix("text in front", rb"(?:(?P<time>" + _ISO + rb")\s+)?[^{\"]{0,500}?(?<=\s)(?=\{\s*\")"),
    _prefix("text in front", rb'[^"]{0,500}?\s(?=' + _ADDRESS + rb'(?::\d+)? (?:\S+ [^"]{0,500}\[|- "))'),
)
"""Prefixes that are tried, in this order."""


def peeled(line: bytes, wrappers: Sequence[Wrapper]) -> tuple[bytes, Any]:
    """The line inside of the wrappers, and the innermost time that they say. One that is not there is passed over."""
    stamp = None
    for wrapper in wrappers:
        inside = wrapper.open(line)
        if inside is not None:
            line = inside[0].strip()
            stamp = inside[1] if inside[1] is not None else stamp
    return line, stamp
