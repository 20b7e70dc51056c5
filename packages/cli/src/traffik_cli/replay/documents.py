"""JSON that is not one object a line: arrays, objects over several lines, objects that hold a list of events.

All of it becomes objects, one a line, a few at a time: an array of any length takes no more memory than its elements.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from traffik_cli.replay.addresses import address_in
from traffik_cli.replay.records import flattened

__all__ = ["unfolded"]

_LISTS: Final = (
    "events",
    "logEvents",
    "Records",
    "records",
    "entries",
    "logs",
    "data",
    "results",
    "items",
    "hits",
    "value",
    "result",
    "streams",
    "tables",
    "resourceLogs",
    "scopeLogs",
    "logRecords",
)
"""Fields that hold a list of events, in the answers of services."""

_NESTED: Final = frozenset(["scopeLogs", "logRecords"])
"""Lists that hold lists, as those of OpenTelemetry do."""

_SPACE: Final = re.compile(r"[\s,\]]*\[?\s*")
_ARRAY: Final = re.compile(rb"\[\s*(\{|\]|\Z)")
_HOLDER: Final = re.compile(rb'"(%s)"\s*:\s*\[\s*[\[{]' % b"|".join(name.encode() for name in _LISTS))
_HEAD: Final = 1 << 12
"""Bytes in which the list of a long object begins."""

_MOST: Final = 1 << 26
"""Characters of one object at most; what is longer is no log."""


def unfolded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of whole lines; those of a document of JSON with its objects, one a line."""
    blocks = iter(blocks)
    first = next(blocks, b"")
    whole = chain([first], blocks)
    yield from _objects(whole) if _is_document(first) else whole


def _is_document(head: bytes) -> bool:
    """Whether a log is an array, or objects that are not one a line, or objects that hold lists of events."""
    start = head.lstrip()
    if _ARRAY.match(start):
        return True
    if start[:1] != b"{":
        return False
    line = start.partition(b"\n")[0].rstrip(b"\r")
    try:
        value, end = json.JSONDecoder().raw_decode(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):  # it goes on in the lines below, or in the next block
        return _begins(line) or _HOLDER.search(line[:_HEAD]) is not None
    behind = line.decode("utf-8", "replace")[end:].lstrip(" ,\t")
    return behind.startswith("{") or _listed(value) is not None


def _begins(line: bytes) -> bool:
    return b"}" not in line and re.fullmatch(rb'\{\s*("(?:[^"\\]|\\.)*"\s*:.*)?', line, re.DOTALL) is not None


def _objects(blocks: Iterable[bytes]) -> Iterator[bytes]:
    decoder = json.JSONDecoder()
    rest, tried = "", 0
    for block in blocks:
        rest += block.decode("utf-8", "replace")
        if len(rest) < tried:  # an object that has not ended is looked at again when there is twice as much
            continue
        found, rest = _taken(decoder, rest)
        tried = 2 * len(rest) if rest and not found else 0
        if found:
            yield b"".join(found)
        if len(rest) > _MOST:
            yield b"a document of JSON without an end\n"
            return
    found, rest = _taken(decoder, rest)
    if rest:
        found.append(rest.replace("\n", " ").encode() + b"\n")
    if found:
        yield b"".join(found)


def _taken(decoder: json.JSONDecoder, text: str) -> tuple[list[bytes], str]:
    """The objects at the beginning of the text, and what is left of it."""
    found: list[bytes] = []
    place = 0
    while True:
        start = _SPACE.match(text, place)
        begin = place if start is None else start.end()
        if begin >= len(text):
            return found, ""
        try:
            value, place = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return found, text[begin:]
        found.extend(json.dumps(each).encode() + b"\n" for each in _events(value))


def _events(value: Any) -> Iterable[Any]:
    """The events in an object that holds a list of them; else the object itself."""
    found = _listed(value)
    return [value] if found is None else found


def _listed(value: Any) -> list[Any] | None:
    """The events of the first list of them in an object; None if it holds none."""
    if not isinstance(value, dict):
        return None
    for name in _LISTS:
        inner = value.get(name)
        if isinstance(inner, dict):  # as in the answers of Elasticsearch and Loki
            inner = next((inner[each] for each in _LISTS if isinstance(inner.get(each), list)), None)
        if isinstance(inner, list) and inner and all(isinstance(each, dict | list) for each in inner):
            if _says_client({each: value[each] for each in value if each != name}):
                continue
            events = [event for each in inner for event in _rows(each)]
            if all(isinstance(event, dict) for event in events):
                return events
    return None


def _says_client(value: dict[str, Any]) -> bool:
    """Whether an object, without its list, holds an address: it is an event, which lists something."""
    return any(isinstance(each, str) and address_in(each) is not None for each in flattened(value).values())


def _rows(value: Any) -> list[Any]:
    """What an element of a list stands for: one event, or several under one name or in one table."""
    if isinstance(value, list):  # CloudWatch: the fields of an event
        return [{each.get("field"): each.get("value") for each in value if isinstance(each, dict)}]
    columns, rows, values = value.get("columns"), value.get("rows"), value.get("values")
    if isinstance(columns, list) and isinstance(rows, list):  # Azure
        names = [str(each.get("name") if isinstance(each, dict) else each) for each in columns]
        return [dict(zip(names, row, strict=False)) for row in rows if isinstance(row, list)]
    if isinstance(values, list) and all(isinstance(each, list) and len(each) > 1 for each in values):  # Loki
        return [{"timestamp": each[0], "line": each[1]} for each in values]
    inner = _listed(value) if _NESTED.intersection(value) else None
    if inner is not None:
        return inner
    attributes = value.get("attributes")
    if isinstance(attributes, list) and isinstance(body := value.get("body"), dict):  # OpenTelemetry
        named = {each.get("key"): _told(each.get("value")) for each in attributes if isinstance(each, dict)}
        return [{**value, "body": _told(body), "attributes": named}]
    return [value.get("_source", value)]


def _told(value: Any) -> Any:
    """The value in an object that is named after its type, such as ``{"intValue": "5"}``."""
    return next(iter(value.values()), None) if isinstance(value, dict) and len(value) == 1 else value
