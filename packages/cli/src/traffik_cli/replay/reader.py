"""Reads a log of any format that makes records of its lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from traffik.identities.proxies import Proxies
from traffik_cli.replay.addresses import address_in
from traffik_cli.replay.batches import SHOWN, Hit, Malformed, Parsed, Run, Wanted
from traffik_cli.replay.clients import Clients
from traffik_cli.replay.records import Layout, Parse, Record, field_of, finder, first_of, text_of
from traffik_cli.replay.requests import request_finder
from traffik_cli.replay.selectors import Selector, header_fields, header_key
from traffik_cli.replay.times import UTC, Calendar, instant
from traffik_cli.replay.wrappers import Wrapper, peeled

__all__ = ["RecordReader", "fields_read", "stamp_of"]

_MOST_TIMES: Final = 4096
_MOST_ZONES: Final = 100
_HEADERS: Final = ("headers", "request_headers", "request.headers", "req.headers", "httpRequest.headers")
"""Fields that hold all headers of a request."""

_FRACTION: Final = re.compile(r"\.(\d{1,9})(\D.*|)", re.ASCII | re.DOTALL)


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
        return Parsed(self._runs(lines, bad), len(lines), len(bad), bad[:SHOWN])

    def _runs(self, lines: list[bytes], bad: list[Malformed]) -> list[Run]:
        runs: list[Run] = []
        hits: list[Hit] = []
        last = None
        clients, times = _memory(self)
        wrappers, parse, bare, request = self.wrappers, self.parse, self.wanted.bare, self.wanted.request
        find_time, find_request = finder(self.layout.time[0] if self._one_time else ()), request_finder(self.layout)
        picks = [self._pick(chosen, clients) for chosen in self.wanted.selectors]
        (pick, *_) = picks
        for number, raw in enumerate(lines, 1):
            line, stamp = raw.strip(), None
            if wrappers:
                line, stamp = peeled(line, wrappers)
            if not line:
                continue
            record = parse(line)
            if isinstance(record, str):
                if record:
                    bad.append(Malformed(number, record))
                continue
            now = times.read(find_time(record))
            if now is None:
                now = self._now(record, stamp, number, times)
                if now is None:
                    bad.append(Malformed(number, self._complaint(record, stamp)))
                    continue
            hit: Hit = pick(record, line)
            if not bare:
                hit = tuple([each(record, line) for each in picks])
                hit = (*hit, *find_request(record)) if request else hit
            if now == last:
                hits.append(hit)
            else:
                last, hits = now, [hit]
                runs.append((now, hits))
        return runs

    @property
    def _one_time(self) -> bool:
        """Whether the time stands in one field, and is not counted."""
        return self.spacing is None and len(self.layout.time) > 0 and len(self.layout.time[0]) == 1

    def _now(self, record: Record, stamp: Any, number: int, times: _Times) -> int | None:
        if self.spacing is not None:
            return (number - 1) * self.spacing
        return times.read(stamp_of(self.layout, record, stamp)[1])

    def instant(self, value: Any) -> int | None:
        """µs since the epoch of a time as it stands in a record; None if it is none."""
        return _Times(self.calendar).read(value)

    def _complaint(self, record: Record, stamp: Any) -> str:
        value = stamp_of(self.layout, record, stamp)[1]
        return "no time" if value is None else f"not a time: {text_of(value)[:40]!r}"

    def _pick(self, chosen: Selector, clients: Clients) -> Callable[[Record, bytes], bytes | None]:
        """What picks a key of a record and its line."""
        find_client = self.client_finder(clients)
        if chosen.kind == "regex":
            pattern = re.compile(chosen.name.encode())
            return lambda record, line: _matched(pattern, line)  # noqa: ARG005 - a pick sees both
        if chosen.kind == "field":
            return lambda record, line: _key(field_of(record, chosen.name))  # noqa: ARG005 - see above
        if chosen.kind == "ip":
            return lambda record, line: find_client(record)  # noqa: ARG005 - see above

        def pick(record: Record, line: bytes) -> bytes | None:  # noqa: ARG001 - see above
            value = _key(_header(record, chosen.name))
            return header_key(chosen.name, value) if value and value != b"-" else find_client(record)

        return pick

    def client_finder(self, clients: Clients) -> Callable[[Record], bytes | None]:
        """What finds the client of a record as a key; None if it says none."""
        key, find_peer = clients.key, finder(self.layout.client)
        if self.proxies is None:
            return lambda record: key(find_peer(record))
        find_forwarded = finder(self.layout.forwarded)
        return lambda record: key(find_peer(record), find_forwarded(record))


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
def _memory(reader: RecordReader) -> tuple[Clients, _Times]:
    """The clients and times that a reader has seen in the blocks before, in each process."""
    return Clients(reader.proxies), _Times(reader.calendar)


def _matched(pattern: re.Pattern[bytes], line: bytes) -> bytes | None:
    found = pattern.search(line)
    return None if found is None else (found[1] if pattern.groups else found[0])


class _Times:
    """Reads times, and remembers them: many lines have the same."""

    __slots__ = ("_calendar", "_fractions", "_known", "_seconds")

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._known: dict[Any, int | None] = {}
        self._fractions: dict[str, tuple[int, dict[str, int]]] = {}
        self._seconds: dict[str, dict[str, int]] = {}

    def read(self, value: Any) -> int | None:
        """µs since the epoch of a time as it stands in a record; None if it is none."""
        if value.__class__ is str and value[19:20] == ".":
            # Fractions to the millisecond come again, and so do their seconds.
            fraction, known = self._fractions.get(value[19:]) or self._fraction(value[19:])
            begun = known.get(value[:19])
            return self._second(value, known) if begun is None else begun + fraction
        if value.__class__ is float:  # a number since the epoch, of which hardly two are the same
            return instant(value, self._calendar)
        try:
            return self._known[value]
        except KeyError:
            if len(self._known) >= _MOST_TIMES:
                self._known.clear()
            text = text_of(value) if isinstance(value, bytes) else value
            found = self._known[value] = instant(text, self._calendar)
            return found
        except TypeError:  # a list or an object of JSON
            return None

    def _fraction(self, rest: str) -> tuple[int, dict[str, int]]:
        """The µs in what stands behind a second, and the seconds that are known of its zone."""
        match = _FRACTION.fullmatch(rest)
        micros, zone = (0, rest) if match is None else (int(match[1][:6].ljust(6, "0")), match[2])
        if len(self._fractions) >= _MOST_TIMES or len(self._seconds) >= _MOST_ZONES:
            self._fractions.clear()
            self._seconds.clear()
        found = self._fractions[rest] = micros, self._seconds.setdefault(zone, {})
        return found

    def _second(self, value: str, known: dict[str, int]) -> int | None:
        """The µs of a time in a second that is not known."""
        now = instant(value, self._calendar)
        if now is not None:
            if len(known) >= _MOST_TIMES:
                known.clear()
            known[value[:19]] = now - self._fractions[value[19:]][0]
        return now


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
    """A header: in an object or a list of them, in any case, or in a field of its own, as nginx names it."""
    for place in _HEADERS:
        headers = field_of(record, place)
        if isinstance(headers, list):
            headers = {each.get("name", ""): each.get("value") for each in headers if isinstance(each, dict)}
        if isinstance(headers, dict):
            found = next((value for key, value in headers.items() if str(key).lower() == name.lower()), None)
            if found is not None:
                return found
    return first_of(record, header_fields(name))
