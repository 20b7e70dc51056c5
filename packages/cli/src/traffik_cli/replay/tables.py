"""JSON lines and CSV with named columns: a record a line, its fields found by name.

The names that common servers write are known; others are given. A name with dots leads into nested objects. A CSV
record ends with its line: line breaks inside of quotes are not for logs.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import SHOWN, Hit, Malformed, Parsed, Wanted, grouped
from traffik_cli.replay.selectors import Selector, header_key
from traffik_cli.replay.times import instant

__all__ = ["CsvTable", "Fields", "JsonLines", "looks_json", "sniffed"]

_Record: TypeAlias = Mapping[str, Any]

_KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "ts", "@timestamp", "time_iso8601", "time_local", "datetime", "date", "msec"),
    "ip": ("ip", "remote_addr", "client_ip", "clientip", "remote_ip", "remote_host", "client", "host", "peer", "c-ip"),
    "method": ("method", "request_method", "verb", "cs-method"),
    "path": ("path", "request_path", "uri", "request_uri", "url", "cs-uri-stem"),
    "request": ("request",),
}


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of the fields that a replay reads; the first of the known ones that a record has, where not given.

    Attributes:
        time: when the request was made.
        ip: the address of the client.
        method: its method.
        path: its path, with or without a query.
    """

    time: str | None = None
    ip: str | None = None
    method: str | None = None
    path: str | None = None

    def names(self, what: str) -> tuple[str, ...]:
        """Where to look for `what`, in order."""
        given: str | None = getattr(self, what, None)
        return _KNOWN[what] if given is None else (given,)


def looks_json(line: bytes) -> bool:
    """Whether a line is an object of JSON."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def sniffed(line: bytes) -> tuple[str, list[str]] | None:
    """The delimiter and the names of a CSV's first line; None if it names no time."""
    text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
    for delimiter in (",", ";", "\t", "|"):
        try:
            names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])]
        except csv.Error:  # such as a line break of old inside of it, or too long a name
            continue
        if len(names) > 1:
            return delimiter, names
    return None


@dataclass(frozen=True, slots=True)
class JsonLines:
    """Reads an object of JSON a line."""

    wanted: Wanted
    fields: Fields = field(default_factory=Fields)

    def read(self, block: bytes) -> Parsed:
        return _read(block, self.wanted, self.fields, _object)


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Reads CSV whose first line, which it is not to be handed, named the columns.

    Raises:
        ConfigurationError: a column is wanted that there is not; the message lists those there are.
    """

    wanted: Wanted
    fields: Fields
    delimiter: str
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        sought = ["time"]
        sought += ["ip"] if any(chosen.kind in {"ip", "header"} for chosen in self.wanted.selectors) else []
        for what in sought:
            if not set(self.fields.names(what)) & set(self.columns):
                raise ConfigurationError(
                    f"no column holds the {what}: looked for {', '.join(self.fields.names(what))} among "
                    f"{', '.join(self.columns)}; name it with --{what}-field"
                )
        for chosen in self.wanted.selectors:
            if chosen.kind == "field" and chosen.name not in self.columns:
                raise ConfigurationError(f"no column is called {chosen.name!r}; there are {', '.join(self.columns)}")

    def read(self, block: bytes) -> Parsed:
        return _read(block, self.wanted, self.fields, self._row)

    def _row(self, line: bytes) -> _Record | str:
        try:
            values = next(csv.reader([line.decode("utf-8", "replace")], delimiter=self.delimiter), [])
        except csv.Error as error:
            return f"no CSV: {error}"
        if len(values) != len(self.columns):
            return f"{len(values)} columns, not {len(self.columns)}"
        return dict(zip(self.columns, values, strict=True))


def _object(line: bytes) -> _Record | str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return found if isinstance(found, dict) else "no object"


def _read(block: bytes, wanted: Wanted, fields: Fields, parse: Any) -> Parsed:
    bad: list[Malformed] = []
    lines = block.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    hits = list(_hits(lines, wanted, fields, parse, bad))
    return Parsed(grouped(hits), len(lines), len(bad), bad[:SHOWN])


def _hits(
    lines: list[bytes], wanted: Wanted, fields: Fields, parse: Any, bad: list[Malformed]
) -> Iterator[tuple[int, Hit]]:
    times = fields.names("time")
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line:
            continue
        record = parse(line)
        if isinstance(record, str):
            bad.append(Malformed(number, record))
            continue
        stamp = _first(record, times)
        now = instant(stamp)
        if now is None:
            shown = "no time" if stamp is None else f"not a time: {str(stamp)[:40]!r}"
            bad.append(Malformed(number, shown))
            continue
        keys = tuple(_pick(chosen, record, fields, line) for chosen in wanted.selectors)
        if wanted.bare:
            yield now, keys[0]
        else:
            yield now, (*keys, *_request(record, fields)) if wanted.request else keys


def _first(record: _Record, names: tuple[str, ...]) -> Any:
    for name in names:
        found = _field(record, name)
        if found is not None and found != "":
            return found
    return None


def _field(record: _Record, name: str) -> Any:
    found = record.get(name)
    if found is None and "." in name:
        head, _, rest = name.partition(".")
        inner = record.get(head)
        return _field(inner, rest) if isinstance(inner, Mapping) else None
    return found


def _pick(chosen: Selector, record: _Record, fields: Fields, line: bytes) -> bytes | None:
    if chosen.kind == "regex":
        found = re.search(chosen.name.encode(), line)
        return None if found is None else (found[1] if found.re.groups else found[0])
    if chosen.kind == "field":
        return _bytes(_field(record, chosen.name))
    if chosen.kind == "header":
        value = _bytes(_header(record, chosen.name))
        if value and value != b"-":
            return header_key(chosen.name, value)
    return _bytes(_first(record, fields.names("ip")))


def _header(record: _Record, name: str) -> Any:
    """A header: in an object of them, in any case, or in a field of its own, as nginx names it."""
    nested = (record.get(key) for key in ("headers", "request_headers"))
    headers: dict[str, Any] = next((each for each in nested if isinstance(each, dict)), {})
    for key, value in headers.items():
        if key.lower() == name.lower():
            return value
    plain = name.lower().replace("-", "_")
    return _first(record, (f"http_{plain}", name, name.lower(), plain))


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, dict | list):
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


def _request(record: _Record, fields: Fields) -> tuple[bytes | None, bytes | None]:
    method, path = _first(record, fields.names("method")), _first(record, fields.names("path"))
    if method is None or path is None:
        asked = str(_first(record, _KNOWN["request"]) or "").split(" ")
        if len(asked) >= 2:
            method, path = method or asked[0], path or asked[1]
    target = _bytes(path)
    return _bytes(method), None if target is None else target.partition(b"?")[0]
