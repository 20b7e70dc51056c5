"""Which shape a log has, seen at its first lines: the wrappers around a line, and how it becomes a record.

Every shape that is known is tried on the first lines, bare and with wrappers taken off. The one that makes the most of
them wins: records with a time, and with a client that is an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from traffik_cli.replay.addresses import address_in
from traffik_cli.replay.clf import CommonLines
from traffik_cli.replay.known import RECORDS, TEXTS, KnownRecords
from traffik_cli.replay.lines import Columns, JsonObject, Labels, Pairs, Pattern, Words, columns_of
from traffik_cli.replay.records import Fields, Layout, Record, text_of
from traffik_cli.replay.roles import Sample, layout_of, names_time, says_time
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.templates import pattern_of
from traffik_cli.replay.times import Calendar, instant
from traffik_cli.replay.wrappers import PREFIXES, Wrapper, envelopes_of, peeled

__all__ = ["Parser", "Search", "Seen", "Shape"]

_DEPTH: Final = 3
"""Wrappers in wrappers that are taken off."""

_NAMED: Final = 0.9
"""The weight of shapes whose fields have names."""

_SURE: Final = 0.95
_TITLES: Final = 5
"""Lines of which one may name the columns of a table."""

_PATHLESS: Final = 0.94
"""The worth of records that say no path, less than `_SURE`: another shape may."""

_LEAST: Final = 0.02
"""The share of the first lines that have to be of a format; others may stand between them."""


class Parser(Protocol):
    """Makes a record of a line, and knows which fields a record has."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the fields; empty if a record may have any."""
        ...

    def __call__(self, line: bytes) -> Record | str:
        """The record of a line, or what is wrong with it; an empty text for a line to pass over."""
        ...


@dataclass(frozen=True, slots=True)
class Shape:
    """How the lines of a log become records.

    Attributes:
        name: of the format.
        parse: makes a record of a line.
        wrappers: what is around a line, the outermost first.
        fields: where the format is known to have the facts.
        weight: how much it counts that lines are of this shape, from 0 to 1: nearly every line is a row of words.
    """

    name: str
    parse: Parser
    wrappers: tuple[Wrapper, ...] = ()
    fields: Fields = field(default_factory=Fields)
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The first lines of a log, read in a shape.

    Attributes:
        shape: the shape.
        sample: their fields.
        layout: where the facts stand.
        stamped: whether the wrappers say times.
        records: the records, each with the time of its wrapper.
        score: how much of the lines the shape explains, from 0 to 1.
    """

    shape: Shape
    sample: Sample
    layout: Layout
    stamped: bool
    records: list[tuple[Record, Any]]
    score: float


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for the shape of a log.

    Attributes:
        lines: its first lines.
        fields: what the user says of them.
        keys: whose quota it is, which the records have to hold.
        calendar: fills in what times do not say.
        only: the name of the shapes that are tried; empty for all.
    """

    lines: Sequence[bytes]
    fields: Fields
    keys: Sequence[Selector]
    calendar: Calendar
    only: str = ""

    def best(self) -> Seen | None:
        """The shape that explains the lines best; None if none explains any."""
        found = self._best(())
        return found if found is not None and found.score >= _LEAST else None

    def _best(self, wrappers: tuple[Wrapper, ...]) -> Seen | None:
        inside = [peeled(line, wrappers)[0] for line in self.lines]
        best: Seen | None = None
        for shape in _shapes(inside):
            if self.only in {"", shape.name}:
                best = _better(best, self.seen(replace(shape, wrappers=wrappers)))
                if best.score >= _SURE:
                    return best
        if len(wrappers) < _DEPTH:
            for wrapper in _around(inside, self.calendar):
                found = self._best((*wrappers, wrapper))
                best = best if found is None else _better(best, found)
                if best is not None and best.score >= _SURE:
                    return best
        return best

    def seen(self, shape: Shape) -> Seen:
        """The lines, read in a shape; what the user says of fields comes before what the format says."""
        sample, records, wrong, stamps = Sample(), list[tuple[Record, Any]](), 0, 0
        for line in self.lines:
            inside, stamp = peeled(line, shape.wrappers)
            record = shape.parse(inside)
            if isinstance(record, str):
                wrong += record != ""
                continue
            records.append((record, stamp))
            sample.add(record)
            text = text_of(stamp) if isinstance(stamp, bytes) else stamp
            stamps += instant(text, self.calendar) is not None
        known = _known(shape, sample)
        shape = shape if known is None else replace(shape, name=known.name, fields=known.fields)
        layout = layout_of(sample, _merged(self.fields, shape.fields), self.calendar)
        stamped = stamps * 2 > len(records)
        score = len(records) / max(1, len(records) + wrong) * shape.weight * self._worth(sample, layout)
        timed = says_time(sample, layout, self.calendar)
        if not timed and (not stamped or any(sample.columns.get(name) for names in layout.time for name in names)):
            score *= 0.3 if shape.weight >= _NAMED else 0.0  # rows without names and times may be anything
        if not records and not wrong and names_time(shape.parse.columns):
            score = _LEAST  # a table without rows
        return Seen(shape, sample, layout, stamped, records, score)

    def _worth(self, sample: Sample, layout: Layout) -> float:
        """How good records are for a replay: those that hold the keys, and addresses where those are the keys."""
        if all(chosen.kind not in {"ip", "header"} for chosen in self.keys):
            fields = [chosen.name for chosen in self.keys if chosen.kind == "field"]
            return 1.0 if all(name in sample.columns for name in fields) else 0.1
        if not layout.client and not layout.forwarded:
            return 0.1
        addresses = max(sample.share(name, _is_address) for name in layout.client or layout.forwarded)
        if addresses < 0.5 or sample.share("ident", _is_address) >= 0.5:
            return 0.4
        return 1.0 if layout.path or layout.request else _PATHLESS


def _better(one: Seen | None, other: Seen) -> Seen:
    return other if one is None or other.score > one.score else one


def _around(lines: Sequence[bytes], calendar: Calendar) -> Iterator[Wrapper]:
    """The wrappers that may be taken off of most of the lines."""
    tables: list[Parser] = [JsonObject()] if any(line[:1] == b"{" for line in lines) else []
    tables += [shape.parse for shape in _tables(lines) if shape.name == "csv"]
    for parse in tables:
        records = [record for record in map(parse, lines) if not isinstance(record, str)]
        yield from envelopes_of(parse, records, calendar)
    for wrapper in PREFIXES:
        if sum(wrapper.open(line) is not None for line in lines) * 2 > len(lines):
            yield wrapper


def _shapes(lines: Sequence[bytes]) -> Iterator[Shape]:
    """The shapes that lines without wrappers may have, the likeliest first."""
    if any(line[:1] == b"{" for line in lines):
        yield Shape("json", JsonObject())
    if lines and not isinstance(Labels()(lines[-1]), str):
        yield Shape("ltsv", Labels())
    yield from _tables(lines)
    yield Shape("combined", CommonLines())
    yield Shape("vhost_combined", CommonLines(vhost=True))
    for known in TEXTS:
        yield Shape(known.name, Pattern(pattern_of(known.template, known.needed), known.others), fields=known.fields)
    yield Shape("logfmt", Pairs(), weight=_NAMED)
    yield from _unnamed(lines)
    yield Shape("words", Words(), weight=0.6)


def _tables(lines: Sequence[bytes]) -> Iterator[Shape]:
    """Rows under names: W3C's Extended Log Format, and CSV."""
    named = next((line for line in lines if line.startswith(b"#Fields:")), None)
    if named is not None:
        names = named.decode("utf-8", "replace").partition(":")[2]
        delimiter = "\t" if any(b"\t" in line for line in lines if line[:1] != b"#") else " "
        yield Shape("w3c", Columns(delimiter, tuple(names.split()), comment=b"#"))
        return
    for place, line in enumerate(lines[:_TITLES]):
        found = columns_of(line)
        if found is not None and _are_names(found[1]) and (place == 0 or _is_row(lines[place + 1 :], found)):
            yield Shape("csv", Columns(found[0], _distinct(found[1]), header=line))
            return


def _is_row(lines: Sequence[bytes], names: tuple[str, list[str]]) -> bool:
    """Whether the first of the lines has as many columns as there are names."""
    found = columns_of(lines[0]) if lines else None
    return found is not None and (found[0], len(found[1])) == (names[0], len(names[1]))


def _are_names(texts: Sequence[str]) -> bool:
    """Whether these name columns: an index of rows has no name, nor have the ends of a row between bars."""
    named = list(filter(None, texts))
    return len(named) > 1 and all(map(_is_name, named))


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, of which no two are the same: one that comes again, or is empty, has its number behind it."""
    found: dict[str, None] = {}
    for place, name in enumerate(names, 1):
        found[f"{name} {place}".strip() if not name or name in found else name] = None
    return tuple(found)


def _is_name(text: str) -> bool:
    return address_in(text) is None and text[0] not in '[{"' and not text[0].isdigit() and "=" not in text


def _unnamed(lines: Sequence[bytes]) -> Iterator[Shape]:
    """Rows without names; their columns are called by their numbers."""
    found = columns_of(lines[0]) if lines else None
    if found is not None and len(found[1]) > 2 and not _are_names(found[1]):
        yield Shape("csv", Columns(found[0], tuple(str(place) for place in range(1, len(found[1]) + 1))), weight=0.8)


def _known(shape: Shape, sample: Sample) -> KnownRecords | None:
    if shape.name not in {"json", "logfmt", "w3c"}:
        return None
    return next((known for known in RECORDS if all(mark in sample.columns for mark in known.marks)), None)


def _merged(given: Fields, known: Fields) -> Fields:
    return Fields(
        given.time or known.time,
        given.ip or known.ip,
        given.method or known.method,
        given.path or known.path,
        given.forwarded or known.forwarded,
    )


def _is_address(value: Any) -> bool:
    return all(address_in(hop) is not None for hop in text_of(value).split(","))
