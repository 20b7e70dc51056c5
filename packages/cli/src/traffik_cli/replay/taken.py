"""What a replay took for the client, the time and the path of a request, with an example of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from traffik_cli.replay.clients import Clients
from traffik_cli.replay.reader import RecordReader
from traffik_cli.replay.records import Record, first_of, text_of
from traffik_cli.replay.requests import request_of

__all__ = ["Fact", "Taken", "taken_of"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Where one fact of a request stands.

    Attributes:
        field: the name of the field, as the log or its format has it; several with a plus between them.
        text: an example, as it stands there.
        value: what was made of it: a client's address, µs since the epoch, a path.
    """

    field: str
    text: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken for what in one log.

    Attributes:
        format: the format.
        wrappers: what was taken off the lines, the outermost first.
        client: the client; None if no field holds one.
        time: the time; None if no line has one.
        path: the path; None if no field holds one.
        proxies: who named the client: proxies that were ``given``, or ``assumed`` since the other end of the connection
            is a private address or not logged; None if it is the other end of the connection.
    """

    format: str = ""
    wrappers: list[str] = field(default_factory=list)
    client: Fact | None = None
    time: Fact | None = None
    path: Fact | None = None
    proxies: str | None = None


def taken_of(name: str, reader: RecordReader, records: Sequence[tuple[Record, Any]], proxies: str | None) -> Taken:
    """What a reader takes for what, by the first of the records that says it."""
    return Taken(
        name,
        [wrapper.name for wrapper in reader.wrappers],
        _first(_client(reader, record) for record, _ in records),
        _first(_time(reader, record, stamp) for record, stamp in records),
        _first(_path(reader, record) for record, _ in records),
        proxies,
    )


def _first(found: Iterable[Fact | None]) -> Fact | None:
    return next((fact for fact in found if fact is not None), None)


def _client(reader: RecordReader, record: Record) -> Fact | None:
    layout = reader.layout
    key = reader.client(record, Clients(reader.proxies))
    peer = _said(record, layout.client)
    forwarded = None if reader.proxies is None else _said(record, layout.forwarded)
    name, text = forwarded or peer or ("", "")
    return None if key is None else Fact(name, text, text_of(key))


def _time(reader: RecordReader, record: Record, stamp: Any) -> Fact | None:
    names, value = reader.stamp(record, stamp)
    now = reader.instant(value)
    return None if now is None else Fact(" + ".join(names) or "what is around the line", text_of(value), now)


def _path(reader: RecordReader, record: Record) -> Fact | None:
    path = request_of(record, reader.layout)[1]
    found = _said(record, (*reader.layout.path, *reader.layout.request))
    return None if path is None or found is None else Fact(*found, text_of(path))


def _said(record: Record, names: Iterable[str]) -> tuple[str, str] | None:
    """The first of the fields that says something, and what."""
    for name in names:
        value = first_of(record, (name,))
        if value is not None:
            return name, text_of(value)
    return None
