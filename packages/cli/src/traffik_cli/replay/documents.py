"""JSON that is not one object a line: arrays, objects over several lines, objects that hold a list of events.

All of it becomes objects, one a line, a few at a time: an array of any length takes no more memory than its elements.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

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
)
"""Fields that hold a list of events, in the answers of services."""

_SPACE: Final = re.compile(r"[\s,\]]*\[?\s*")
_ARRAY: Final = re.compile(rb"\[\s*(\{|\]|\Z)")
_HOLDER: Final = re.compile(rb'\{\s*"(%s)"\s*:\s*[\[{]' % b"|".join(name.encode() for name in _LISTS))
_MOST: Final = 1 << 26
"""Characters of one object at most; what is longer is no log."""


def unfolded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of whole lines; those of a document of JSON with its objects, one a line."""
    blocks = iter(blocks)
    first = next(blocks, b"")
    whole = chain([first], blocks)
    yield from _objects(whole) if _is_document(first) else whole


def _is_document(head: bytes) -> bool:
    """Whether a log begins as an array, or as an object that does not end with its line."""
    start = head.lstrip()
    if _ARRAY.match(start) or _HOLDER.match(start):
        return True
    line = start.partition(b"\n")[0].rstrip(b"\r")
    return start[:1] == b"{" and b"}" not in line and _begins(line)


def _begins(line: bytes) -> bool:
    return re.fullmatch(rb'\{\s*("(?:[^"\\]|\\.)*"\s*:.*)?', line, re.DOTALL) is not None


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


def _events(value: Any) -> Iterator[Any]:
    """The events in an object that holds a list of them; else the object itself."""
    if isinstance(value, dict):
        for name in _LISTS:
            inner = value.get(name)
            if isinstance(inner, dict):  # as in the answers of Elasticsearch
                inner = inner.get(name)
            if isinstance(inner, list) and all(isinstance(each, dict) for each in inner):
                for each in inner:
                    yield each.get("_source", each)
                return
    yield value
