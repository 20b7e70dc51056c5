"""Paths: the ways a router or a file server may read one, and the patterns that match them. Pure.

Routers and file servers disagree about slashes, dots and escapes. `readings` lists every path that one of them may take
a request for, so that a rule can consider them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

__all__ = ["compile_pattern", "normal_path", "readings"]

_SLASH: Final = re.compile(r"\\|%2[Ff]")
"""What some servers take for a slash: Windows the backslash, aiohttp's file server an encoded slash."""


_PARAMETER: Final = re.compile(r"\{[A-Za-z_]\w*(:\w+)?\}|<(\w+:)?[A-Za-z_]\w*>")
"""A parameter in the route of a framework: ``{id}``, ``{id:int}``, ``<id>``, ``<int:id>``."""


def readings(path: str) -> tuple[str, ...]:
    """The paths that a router or a file server may take the percent-decoded `path` for, each without its last slash.

    An ordinary path has one reading, itself. Otherwise repeated slashes may count as one, segments ``.`` as none, and
    backslashes and ``%2F`` as slashes. A path has no readings if it may lead anywhere: one with a segment ``..``, which
    file servers resolve on the disk, or with a newline at its end, which Starlette's routes ignore and its mounts
    misread.
    """
    # Substrings are found several times faster than an expression, and nearly every path ends here.
    if not ("//" in path or "/." in path or "%" in path or "\\" in path or "\n" in path or path[:1] != "/"):
        return (path[:-1] if path[-1] == "/" else path,)
    decoded = _SLASH.sub("/", path)
    if path.endswith("\n") or ".." in decoded.split("/"):
        return ()
    forms = path, normal_path(path), normal_path(decoded)
    return tuple(dict.fromkeys(form.removesuffix("/") for form in forms))


def normal_path(path: str) -> str:
    """The normal form of a percent-decoded path: repeated slashes are one, ``.`` and ``..`` are resolved.

    It begins with a slash, and ends with one only if it is no more than that. As in `posixpath.normpath`, slashes come
    first: ``/a//../b`` is ``/b``.
    """
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept)


def compile_pattern(pattern: str) -> Callable[[str], object]:
    """A function that is true of the paths, without their last slash, that a pattern with ``*`` and ``**`` matches.

    Raises:
        ValueError: the pattern does not begin with a slash, cannot match, has ``**`` inside a segment, or a parameter
            of a route, such as ``{id}``. (For a path with braces, give a compiled expression.)
    """
    if not pattern.startswith("/"):
        raise ValueError(f"the pattern {pattern!r} does not begin with a slash, as every path does: '/{pattern}'")
    parameter = _PARAMETER.search(pattern)
    if parameter is not None:
        raise ValueError(
            f"the pattern {pattern!r} has a parameter of a route, {parameter[0]!r}: write "
            f"{_PARAMETER.sub('*', pattern)!r}, or give it as a route, Rule(route={pattern!r})"
        )
    bare = normal_path(pattern)
    if bare.removesuffix("/") != pattern.removesuffix("/"):
        raise ValueError(f"no path in normal form matches the pattern {pattern!r}; write {bare!r}")
    segments = bare.removesuffix("/").split("/")[1:]
    for segment in segments:
        if "**" in segment and segment != "**":
            raise ValueError(
                f"in the pattern {pattern!r}, ** is a part of {segment!r}; it stands for whole segments: '/**/'"
            )
    if "*" not in pattern:
        return bare.removesuffix("/").__eq__
    return re.compile(_translated(segments), re.DOTALL).fullmatch


def _translated(segments: list[str]) -> str:
    """The regular expression of a pattern.

    Each part takes the first place where it fits and keeps it (an atomic group). With wildcards the first place is as
    good as any other, so matching takes time in proportion to the path. Only the last part must end where the path
    does.
    """
    parts: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            parts.append([])
        else:
            parts[-1].append(segment)
    first, *rest = ["".join(map(_segment, part)) for part in parts]
    if not rest:
        return first
    *middle, last = rest
    anywhere = "".join(f"(?>(?:/.*?)??{part})" for part in middle if part)
    return f"{first}{anywhere}(?:/.*)?{last}"


def _segment(segment: str) -> str:
    """The regular expression of one segment, with the slash before it."""
    if segment == "*":
        return "/(?>[^/]+)"
    first, *rest = [re.escape(text) for text in segment.split("*")]
    if not rest:
        return f"/{first}(?=/|\\Z)"
    *middle, last = rest
    return f"/(?>{first}{''.join(f'(?>[^/]*?{text})' for text in middle)}[^/]*{last}(?=/|\\Z))"
