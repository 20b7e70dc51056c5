"""Lines as records: fields by name, and where the facts of a request stand among them.

A name with dots leads into nested objects, unless a field is called by the whole of it. Values are bytes where a line
is text, or any value of JSON where the log is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

__all__ = [
    "NOTHING",
    "Fields",
    "Find",
    "Layout",
    "Parse",
    "Record",
    "column",
    "field_of",
    "finder",
    "first_of",
    "flattened",
    "text_of",
]

Record: TypeAlias = Mapping[str, Any]

Find: TypeAlias = Callable[[Record], Any]
"""Finds a value in a record."""

Parse: TypeAlias = Callable[[bytes], "Record | str"]
"""Makes a record of a line, or says why it cannot. It may be sent to another process."""

NOTHING: Final = frozenset([None, "", "-", b"", b"-"])
"""Values by which logs say that there is none."""

_HOLDERS: Final = (list, dict)
_DEPTH: Final = 5
_MOST: Final = 200
"""Fields of a record that are looked at when a layout is sought."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of fields that the user gives; None where the log is to be searched for them.

    Attributes:
        time: when the request was made.
        ip: the address of the client, or of the proxy that spoke for it.
        method: its method.
        path: its path, with or without a query, or a whole URL.
        forwarded: the addresses that proxies noted, as in X-Forwarded-For.
    """

    time: str | None = None
    ip: str | None = None
    method: str | None = None
    path: str | None = None
    forwarded: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields in which the facts of a request stand. Of several, the first that a record has is read.

    Attributes:
        time: when it was made; several fields in one tuple are joined (a date and a clock). Empty if no field says.
        client: the address at the other end of the connection.
        forwarded: the addresses that proxies noted.
        method: the method.
        path: the path or URL.
        request: the whole request line.
    """

    time: tuple[tuple[str, ...], ...] = ()
    client: tuple[str, ...] = ()
    forwarded: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    request: tuple[str, ...] = ()


def field_of(record: Record, name: str) -> Any:
    """The value of a field; None if the record has none."""
    found = record.get(name)
    if found is None and "." in name:
        head, _, rest = name.partition(".")
        inner = record.get(head)
        return field_of(inner, rest) if isinstance(inner, Mapping) else None
    return found


def finder(names: Sequence[str]) -> Find:
    """What finds the value of the first of the fields that says something; None if none does."""
    finds = [_finder(name) for name in names]
    if len(finds) == 1:
        return finds[0]

    def find(record: Record) -> Any:
        for each in finds:
            found = each(record)
            if found is not None:
                return found
        return None

    return find


def column(records: Sequence[Record], names: Sequence[str]) -> list[Any]:
    """The value of each record's first field that says something; None, or one of `NOTHING`, where none does."""
    if len(names) == 1 and "." not in names[0]:
        (name,) = names
        return [record.get(name) for record in records]
    return list(map(finder(names), records))


def first_of(record: Record, names: Sequence[str]) -> Any:
    """The value of the first of the fields that says something; None if none does."""
    return finder(names)(record)


def _finder(name: str) -> Find:
    if "." in name:
        return lambda record: _said(field_of(record, name))

    def find(record: Record) -> Any:
        found = record.get(name)
        if found.__class__ is str:
            return found if found and found != "-" else None
        return _said(found)

    return find


def _said(value: Any) -> Any:
    """A value, or None if it says that there is none."""
    if isinstance(value, _HOLDERS):
        return value or None
    return None if value in NOTHING else value


def flattened(record: Record) -> dict[str, Any]:
    """All fields with their dotted names, nested ones too."""
    found: dict[str, Any] = {}
    for name, value in _walk(record, "", _DEPTH):
        found[name] = value
        if len(found) >= _MOST:
            break
    return found


def _walk(record: Record, before: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            if depth:
                yield from _walk(value, f"{before}{name}.", depth - 1)
        else:
            yield before + name, value


def text_of(value: Any) -> str:
    """A value as text; a list is joined with commas, as several lines of a header are."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return ", ".join(map(text_of, value))
    return json.dumps(value)
