"""Method and path of a logged request, from a request line, a URL or separate fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from traffik_cli.replay.records import Layout, Record, finder, text_of

__all__ = ["asked_in", "path_in", "request_finder"]

_LINE: Final = re.compile(rb"(?P<method>[!#$%&'*+.^_`|~0-9A-Za-z-]+) (?P<target>\S+)(?: HTTP/[0-9.]+)?")


def asked_in(line: bytes) -> tuple[bytes | None, bytes | None]:
    """Method and path of a request line, without the query; None for both if it is no request line."""
    match = _LINE.match(line)
    return (None, None) if match is None else (match["method"], path_in(match["target"]))


def path_in(target: bytes) -> bytes:
    """The path in what a request line, a field or a URL says, without the query and the host."""
    path = target.partition(b"?")[0].partition(b"#")[0]
    if not path.startswith(b"/") and b"://" in path:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return path


def request_finder(layout: Layout) -> Callable[[Record], tuple[bytes | None, bytes | None]]:
    """What finds method and path of a record; None for what it does not say."""
    find_method, find_path, find_line = finder(layout.method), finder(layout.path), finder(layout.request)

    def find(record: Record) -> tuple[bytes | None, bytes | None]:
        method, path = find_method(record), find_path(record)
        if method is not None and path is not None:
            return _bytes(method), _rooted(path_in(_bytes(path)))
        line = find_line(record)
        asked = (None, None) if line is None else asked_in(_bytes(line))
        return (method and _bytes(method)) or asked[0], _rooted(path_in(_bytes(path))) if path else asked[1]

    return find


def _rooted(path: bytes) -> bytes:
    """A path that begins with a slash, which some logs leave out."""
    return path if path[:1] == b"/" or not path[:1].isalnum() or b":" in path else b"/" + path


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else text_of(value).encode("utf-8", "surrogatepass")
