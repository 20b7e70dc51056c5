"""Reads a log of any format that makes records of its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, compress, repeat
from typing import Any, Final, NamedTuple

from traffik.identities.proxies import Proxies
from traffik_cli.replay.addresses import address_in
from traffik_cli.replay.batches import SHOWN, Hit, Malformed, Parsed, Wanted, timed
from traffik_cli.replay.clients import Clients
from traffik_cli.replay.instants import Instants
from traffik_cli.replay.lines import JsonObject
from traffik_cli.replay.records import Layout, Parse, Record, column, field_of, first_of, text_of
from traffik_cli.replay.requests import request_finder
from traffik_cli.replay.selectors import Selector, header_fields, header_key
from traffik_cli.replay.times import UTC, Calendar
from traffik_cli.replay.wrappers import Wrapper, peeled

__all__ = ["RecordReader", "fields_read", "stamp_of"]

_HEADERS: Final = ("headers", "request_headers", "request.headers", "req.headers", "httpRequest.headers")
"""Fields that hold all headers of a request."""


class _Rows(NamedTuple):
    """Lines that are records.

    Attributes:
        numbers: of the lines, from 1.
        lines: the lines, out of their wrappers.
        records: the records.
        stamps: the times that the wrappers say; empty without wrappers.
    """

    numbers: Sequence[int]
    lines: Sequence[bytes]
    records: Sequence[Any]
    stamps: Sequence[Any]


@dataclass(frozen=True, slots=True)
class RecordReader:
    """Reads a log whose lines are records.

    Attributes:
        wanted: what is to be read of every line.
        parse: makes a record of a line.
        layout: where the facts stand in it.
        wrappers: what is around a line, the outermost first.
        proxies: whom to trust to name the client; None to read the peer alone.
        calendar: fills in what times do not say.
        spacing: µs from line to line where no line has a time; None if lines have times. Then instants count from the
            block's first line.
    """

    wanted: Wanted
    parse: Parse
    layout: Layout
    wrappers: tuple[Wrapper, ...] = ()
    proxies: Proxies | None = None
    calendar: Calendar = UTC
    spacing: int | None = None

    def read(self, block: bytes) -> Parsed:
        lines = block.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        bad: list[Malformed] = []
        rows = self._rows(lines, bad)
        clients, instants = _memory(self)
        times = self._times(rows, instants, bad)
        hits = self._hits(rows, clients)
        bad.sort()
        return Parsed(timed(times, hits), len(lines), len(bad), bad[:SHOWN])

    def _rows(self, lines: list[bytes], bad: list[Malformed]) -> _Rows:
        """The records of all lines but blank and malformed ones."""
        inside = list(map(bytes.strip, lines))
        stamps: list[Any] = []
        if self.wrappers:
            both = [peeled(line, self.wrappers) for line in inside]
            inside, stamps = [line for line, _ in both], [stamp for _, stamp in both]
        numbers = range(1, len(lines) + 1)
        records = self.parse.all(inside) if isinstance(self.parse, JsonObject) else None
        if records is not None:
            return _Rows(numbers, inside, records, stamps)
        rows = _Rows(numbers, inside, list(map(self.parse, inside)), stamps)
        if all(inside) and str not in map(type, rows.records):
            return rows
        for number, line, record in zip(rows.numbers, inside, rows.records, strict=True):
            if line and record and isinstance(record, str):
                bad.append(Malformed(number, record))
        good = [bool(line) and not isinstance(record, str) for line, record in zip(inside, rows.records, strict=True)]
        return _Rows(
            list(compress(rows.numbers, good)),
            list(compress(inside, good)),
            list(compress(rows.records, good)),
            list(compress(stamps, good)),
        )

    def _times(self, rows: _Rows, instants: Instants, bad: list[Malformed]) -> list[int | None]:
        """The instants of all rows; None where there is none."""
        if self.spacing is not None:
            return [(number - 1) * self.spacing for number in rows.numbers]
        # A time that stands in one field is read for all rows at once.
        names = self.layout.time[0] if self.layout.time and len(self.layout.time[0]) == 1 else ()
        found: list[int | None] = [None] * len(rows.records)
        if names:
            found = instants.all(column(rows.records, names))
        if None not in found:
            return found
        stamps = rows.stamps or repeat(None)
        for place, (number, record, stamp) in enumerate(zip(rows.numbers, rows.records, stamps, strict=False)):
            if found[place] is None:
                value = stamp_of(self.layout, record, stamp)[1]
                found[place] = instants.read(value)
                if found[place] is None:
                    reason = "no time" if value is None else f"not a time: {text_of(value)[:40]!r}"
                    bad.append(Malformed(number, reason))
        return found

    def _hits(self, rows: _Rows, clients: Clients) -> list[Hit]:
        """What is wanted of all rows."""
        columns = [self._keys(chosen, rows, clients) for chosen in self.wanted.selectors]
        if self.wanted.bare:
            return columns[0]
        if self.wanted.request:
            requests = list(map(request_finder(self.layout), rows.records))
            columns += [[method for method, _ in requests], [path for _, path in requests]]
        return list(zip(*columns, strict=True))

    def instant(self, value: Any) -> int | None:
        """µs since the epoch of a time as it stands in a record; None if it is none."""
        return Instants(self.calendar).read(value)

    def _keys(self, chosen: Selector, rows: _Rows, clients: Clients) -> list[Hit]:
        """The keys of all rows."""
        if chosen.kind == "regex":
            pattern = re.compile(chosen.name.encode())
            return [_matched(pattern, line) for line in rows.lines]
        if chosen.kind == "field":
            return [_key(field_of(record, chosen.name)) for record in rows.records]
        if chosen.kind == "ip":
            return self.clients(rows.records, clients)
        found = [_key(_header(record, chosen.name)) for record in rows.records]
        others = self.clients(rows.records, clients)
        return [
            header_key(chosen.name, value) if value and value != b"-" else other
            for value, other in zip(found, others, strict=True)
        ]

    def clients(self, records: Sequence[Record], clients: Clients) -> list[bytes | None]:
        """The clients of records as keys; None for each that says none."""
        peers = column(records, self.layout.client)
        if self.proxies is None:
            return clients.keys(peers)
        return list(map(clients.key, peers, column(records, self.layout.forwarded)))


def fields_read(wanted: Wanted, layout: Layout) -> Iterator[str]:
    """The fields of a record that a reader looks at."""
    yield from chain(*layout.time, layout.client, layout.forwarded)
    if wanted.request:
        yield from chain(layout.method, layout.path, layout.request)
    for chosen in wanted.selectors:
        if chosen.kind == "field":
            yield chosen.name
        elif chosen.kind == "header":
            yield from (*_HEADERS, *header_fields(chosen.name))


def stamp_of(layout: Layout, record: Record, stamp: Any) -> tuple[tuple[str, ...], Any]:
    """The time of a record as it stands there, and in which fields; that of the wrappers if it has none."""
    for names in layout.time:
        if len(names) == 1:
            value = first_of(record, names)
            if value is not None:
                return names, value
        else:
            values = [first_of(record, (name,)) for name in names]
            if None not in values:
                return names, " ".join(text_of(value).strip("[]") for value in values)
    return (), stamp


@lru_cache(8)
def _memory(reader: RecordReader) -> tuple[Clients, Instants]:
    """The clients and times that a reader has seen in the blocks before, in each process."""
    return Clients(reader.proxies), Instants(reader.calendar)


def _matched(pattern: re.Pattern[bytes], line: bytes) -> bytes | None:
    found = pattern.search(line)
    return None if found is None else (found[1] if pattern.groups else found[0])


def _key(value: Any) -> bytes | None:
    """A value of a field as a key; an address without port and brackets."""
    if value is None or isinstance(value, dict):
        return None
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else text_of(value)
    if isinstance(value, bytes) and b":" not in value:
        return value
    text = text_of(value)
    return (address_in(text) or text).encode("utf-8", "surrogatepass")


def _header(record: Record, name: str) -> Any:
    """A header: in an object or a list of them, in any case, or in a separate field, as nginx names it."""
    for place in _HEADERS:
        headers = field_of(record, place)
        if isinstance(headers, list):
            headers = {each.get("name", ""): each.get("value") for each in headers if isinstance(each, dict)}
        if isinstance(headers, dict):
            found = next((value for key, value in headers.items() if str(key).lower() == name.lower()), None)
            if found is not None:
                return found
    return first_of(record, header_fields(name))
