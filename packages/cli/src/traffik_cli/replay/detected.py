"""The fields that a replay found for the client, the time and the path of a request, with an example of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from traffik_cli.replay.clients import Clients
from traffik_cli.replay.reader import RecordReader, stamp_of
from traffik_cli.replay.records import Record, first_of, text_of
from traffik_cli.replay.requests import request_finder

__all__ = ["Detected", "DetectedField", "detected_of"]


@dataclass(frozen=True, slots=True)
class DetectedField:
    """A field of a log, and an example from it.

    Attributes:
        field: the name of the field, as the log or its format has it; several with a plus between them.
        text: an example, as it stands there.
        value: the example as a replay reads it: a client's address, µs since the epoch, a path.
    """

    field: str
    text: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Detected:
    """The format of a log, and the fields found in it.

    Attributes:
        format: the format.
        wrappers: the formats around the lines, the outermost first.
        client: the client; None if no field holds one.
        time: the time; None if no line has one.
        path: the path; None if no field holds one.
        proxies: ``given`` if the proxies that the user trusts name the client; ``assumed`` if private addresses are
            taken for proxies; ``unused`` if the client is the other end of the connection, though X-Forwarded-For names
            others; None if nothing names others.
    """

    format: str = ""
    wrappers: list[str] = field(default_factory=list)
    client: DetectedField | None = None
    time: DetectedField | None = None
    path: DetectedField | None = None
    proxies: str | None = None


def detected_of(
    name: str, reader: RecordReader, records: Sequence[tuple[Record, Any]], proxies: str | None
) -> Detected:
    """The fields that a reader reads, each with the first example among the records."""
    return Detected(
        name,
        [wrapper.name for wrapper in reader.wrappers],
        _first(_client(reader, record) for record, _ in records),
        _first(_time(reader, record, stamp) for record, stamp in records),
        _first(_path(reader, record) for record, _ in records),
        proxies,
    )


def _first(found: Iterable[DetectedField | None]) -> DetectedField | None:
    return next((fact for fact in found if fact is not None), None)


def _client(reader: RecordReader, record: Record) -> DetectedField | None:
    layout = reader.layout
    (key,) = reader.clients([record], Clients(reader.proxies))
    peer = _said(record, layout.client)
    forwarded = None if reader.proxies is None else _said(record, layout.forwarded)
    name, text = forwarded or peer or ("", "")
    return None if key is None else DetectedField(name, text, text_of(key))


def _time(reader: RecordReader, record: Record, stamp: Any) -> DetectedField | None:
    names, value = stamp_of(reader.layout, record, stamp)
    now = reader.instant(value)
    return None if now is None else DetectedField(" + ".join(names) or "around the line", text_of(value), now)


def _path(reader: RecordReader, record: Record) -> DetectedField | None:
    path = request_finder(reader.layout)(record)[1]
    found = _said(record, (*reader.layout.path, *reader.layout.request))
    return None if path is None or found is None else DetectedField(*found, text_of(path))


def _said(record: Record, names: Iterable[str]) -> tuple[str, str] | None:
    """The first of the fields that says something, and what."""
    for name in names:
        value = first_of(record, (name,))
        if value is not None:
            return name, text_of(value)
    return None
