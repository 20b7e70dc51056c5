"""Prefixes, quotes and JSON objects that log collectors put around a line, and how to remove them.

A wrapper may hold a time, which is used if the line inside has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from traffik_cli.replay.lines import narrowed
from traffik_cli.replay.records import Parse, Record, field_of
from traffik_cli.replay.roles import Sample, time_in
from traffik_cli.replay.times import ZONES, Calendar

__all__ = ["PREFIXES", "Envelope", "Prefix", "Quotes", "Wrapper", "envelopes_of", "peeled", "uncoloured"]

_ISO: Final = (
    rb"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: [AaPp][Mm]\b)?"
    rb"(?:Z\b| ?[+-]\d\d:?\d\d\b| (?:" + b"|".join(name.encode() for name in ZONES) + rb")\b)?"
)
_TAG: Final = rb"[^\s:\[\]]+(?:\[[^\]\s]*\])?: "
_ADDRESS: Final = rb"\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]+:[0-9A-Fa-f.:]*)\]?"

_CONTENTS: Final = ("log", "message", "msg", "line", "textpayload", "raw", "event", "body", "text", "content")
"""Names of fields that hold lines, in lower case and without signs."""

_SIGNS: Final = re.compile(r"[^a-z0-9]")
_REQUEST: Final = re.compile(rb"[A-Z]{3,7} \S+ HTTP/[0-9]|\{ *\"[^\"]+\" *:")
_COLOUR: Final = re.compile(rb"\x1b\[[0-9;]*m")
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
    """The whole line as one value of CSV, whose quotes are doubled inside, or as a string of JSON."""

    name: str = "quotes"

    def open(self, line: bytes) -> tuple[bytes, Any] | None:
        if len(line) < 2 or line[:1] != b'"' or line[-1:] != b'"':
            return None
        try:
            return json.loads(line).encode("utf-8", "surrogatepass"), None
        except ValueError:
            return (line[1:-1].replace(b'""', b'"'), None) if b'""' in line else None


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
        inner = b"" if isinstance(record, str) else _line_in(field_of(record, self.content))
        if isinstance(record, str) or not inner:
            return None
        return uncoloured(inner), None if self.time is None else field_of(record, self.time)


def uncoloured(text: bytes) -> bytes:
    """Text without the escape sequences by which terminals show colours."""
    return _COLOUR.sub(b"", text) if b"\x1b[" in text else text


def _line_in(value: Any) -> bytes:
    """The line that a field holds; the journal writes one with control characters as a list of bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").strip()
    if isinstance(value, list) and all(isinstance(each, int) and 0 <= each < 256 for each in value):
        return bytes(value).strip()
    return b""


def envelopes_of(parse: Parse, records: Sequence[Record], calendar: Calendar) -> list[Envelope]:
    """The ways in which most of the records may hold lines: under a usual name, or as a line that is recognized."""
    sample = Sample()
    for record in records:
        sample.add(record)
    holding = {
        name: lines
        for name, values in sample.columns.items()
        if len(lines := list(filter(None, map(_line_in, values)))) * 2 > len(records)
    }
    contents = {name: _SIGNS.sub("", name.rpartition(".")[2].lower()) for name in holding}
    known = [name for content in _CONTENTS for name in holding if contents[name] == content]
    others = [name for name in holding if name not in known and sum(map(_is_line, holding[name])) * 2 > len(records)]
    return [_envelope(parse, sample, name, calendar) for name in (*known, *others)]


def _envelope(parse: Parse, sample: Sample, content: str, calendar: Calendar) -> Envelope:
    called = _ENVELOPES.get(content.rpartition(".")[2], "records")
    time = time_in(sample, calendar)
    return Envelope(called, narrowed(parse, [content] if time is None else [content, time]), content, time)


def _is_line(line: bytes) -> bool:
    return _REQUEST.search(line) is not None


def _prefix(name: str, pattern: bytes) -> Prefix:
    return Prefix(name, re.compile(pattern))


PREFIXES: Final[tuple[Wrapper, ...]] = (
    Quotes(),
    _prefix("compose names", rb"[\w.-]+ *\| ?"),
    _prefix("kubectl names", rb"\[pod/[^\]\s]+\] "),
    _prefix("cri", rb"(?P<time>" + _ISO + rb") (?:stdout|stderr) [FP] "),
    _prefix(
        "syslog",
        rb"(?:\d{1,5} )?(?:<\d{1,3}>)?1 (?P<time>"
        + _ISO
        + rb') \S+ \S+ \S+ \S+ (?:-(?!\S)|(?:\[(?:[^\]\\"]|\\.|"[^"]*")*\])+)? ?',
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
        + rb")\]?(?: -)? *)?(?:\[\d+\] *)?\[?(?i:TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL)\]?"
        rb"(?::[\w.]+:|:?(?: +- +| +)(?:[\w.]+(?: -|:) +)?)",
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
