"""Reads a log of any format that makes records of its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from traffik.identities.proxies import Proxies
from traffik_cli.replay.addresses import address_in
from traffik_cli.replay.batches import SHOWN, Hit, Malformed, Parsed, Wanted, grouped
from traffik_cli.replay.clients import Clients
from traffik_cli.replay.records import Layout, Parse, Record, field_of, first_of, text_of
from traffik_cli.replay.requests import request_of
from traffik_cli.replay.selectors import Selector, header_fields, header_key
from traffik_cli.replay.times import UTC, Calendar, instant
from traffik_cli.replay.wrappers import Wrapper, peeled

__all__ = ["RecordReader"]

_MOST_TIMES: Final = 4096


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
        hits = list(self._hits(lines, bad))
        return Parsed(grouped(hits), len(lines), len(bad), bad[:SHOWN])

    def _hits(self, lines: list[bytes], bad: list[Malformed]) -> Iterator[tuple[int, Hit]]:
        clients, times = Clients(self.proxies), _Times(self.calendar)
        wanted, layout, wrappers = self.wanted, self.layout, self.wrappers
        bare, selectors = wanted.bare, wanted.selectors
        for number, raw in enumerate(lines, 1):
            line, stamp = raw.strip(), None
            if wrappers:
                line, stamp = peeled(line, wrappers)
            if not line:
                continue
            record = self.parse(line)
            if isinstance(record, str):
                if record:
                    bad.append(Malformed(number, record))
                continue
            now = self._now(record, stamp, number, times)
            if now is None:
                bad.append(Malformed(number, self._complaint(record, stamp)))
                continue
            if bare:
                yield now, self._pick(selectors[0], record, line, clients)
                continue
            keys = tuple(self._pick(chosen, record, line, clients) for chosen in selectors)
            yield now, (*keys, *request_of(record, layout)) if wanted.request else keys

    def _now(self, record: Record, stamp: Any, number: int, times: _Times) -> int | None:
        if self.spacing is not None:
            return (number - 1) * self.spacing
        return times.read(self.stamp(record, stamp)[1])

    def stamp(self, record: Record, stamp: Any) -> tuple[tuple[str, ...], Any]:
        """The time of a record as it stands there, and in which fields; that of the wrappers if it has none."""
        for names in self.layout.time:
            if len(names) == 1:
                value = first_of(record, names)
                if value is not None:
                    return names, value
            else:
                values = [first_of(record, (name,)) for name in names]
                if None not in values:
                    return names, " ".join(text_of(value).strip("[]") for value in values)
        return (), stamp

    def instant(self, value: Any) -> int | None:
        """µs since the epoch of a time as it stands in a record; None if it is none."""
        return _Times(self.calendar).read(value)

    def _complaint(self, record: Record, stamp: Any) -> str:
        value = self.stamp(record, stamp)[1]
        return "no time" if value is None else f"not a time: {text_of(value)[:40]!r}"

    def _pick(self, chosen: Selector, record: Record, line: bytes, clients: Clients) -> bytes | None:
        if chosen.kind == "ip":
            return self.client(record, clients)
        if chosen.kind == "regex":
            found = re.search(chosen.name.encode(), line)
            return None if found is None else (found[1] if found.re.groups else found[0])
        if chosen.kind == "field":
            return _key(field_of(record, chosen.name))
        if chosen.kind == "header":
            value = _key(_header(record, chosen.name))
            if value and value != b"-":
                return header_key(chosen.name, value)
        return self.client(record, clients)

    def client(self, record: Record, clients: Clients) -> bytes | None:
        """The client of a record as a key; None if it says none."""
        peer = first_of(record, self.layout.client)
        return clients.key(peer, None if self.proxies is None else first_of(record, self.layout.forwarded))


class _Times:
    """Reads times, and remembers them: many lines have the same."""

    __slots__ = ("_calendar", "_known")

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._known: dict[Any, int | None] = {}

    def read(self, value: Any) -> int | None:
        """µs since the epoch of a time as it stands in a record; None if it is none."""
        # Times to the millisecond hardly come again, but their seconds do.
        if isinstance(value, str) and value[19:20] == "." and value[-1] == "Z":
            fraction = value[20:-1]
            if fraction.isdecimal() and fraction.isascii() and len(fraction) < 10:
                second = self.read(value[:19] + "Z")
                return None if second is None else second + int(fraction[:6].ljust(6, "0"))
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
    for place in ("headers", "request_headers", "request.headers", "req.headers", "httpRequest.headers"):
        headers = field_of(record, place)
        if isinstance(headers, list):
            headers = {each.get("name", ""): each.get("value") for each in headers if isinstance(each, dict)}
        if isinstance(headers, dict):
            found = next((value for key, value in headers.items() if str(key).lower() == name.lower()), None)
            if found is not None:
                return found
    return first_of(record, header_fields(name))
