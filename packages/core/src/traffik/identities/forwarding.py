"""Reads forwarding headers from the right: the addresses that proxies report, the nearest proxy first.

The client may have written the text further left, so it never affects an element on the right. An element ends at the
comma on its left, found from the element's own characters alone, so an unbalanced quote further left has no effect.
Grammar: ``Forwarded`` as in RFC 7239, section 4; ``X-Forwarded-For`` and its like are addresses between commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from traffik.identities.networks import LONGEST_ADDRESS

__all__ = ["MAX_CHARACTERS", "MAX_HOPS", "hops", "host_of"]

MAX_HOPS: Final = 32
"""The most hops that are read. No real chain is half as long, and a client may write any number."""

MAX_CHARACTERS: Final = 4096
"""The most characters that are read, from the right."""

_NAME: Final = "forwarded"
_SPACE: Final = " \t"
_PAIR: Final = re.compile(
    r"""[ \t]*+
    (?: (?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]++)
        = (?: "(?P<quoted>(?:[^"\\]|\\.)*+)" | (?P<token>[^ \t;,"]++) )
        [ \t]*+
    )?
    (?:;|\Z)""",
    re.VERBOSE,
)
"""One pair of an element, or nothing, up to its semicolon. Brackets and colons may be unquoted, as many proxies do."""

_ESCAPED: Final = re.compile(r"\\(.)")
_PORT: Final = re.compile(r"[0-9]{1,5}|_[A-Za-z0-9._-]+")


def hops(lines: Sequence[str], name: str) -> Iterator[str | None]:
    """The address that the header has for each hop, from the right, as text; None for a hop without one.

    Args:
        lines: the lines of the header, in the order they came.
        name: the name of the header, in lower case.
    """
    if len(lines) == 1:
        text = lines[0]
    else:
        text = ", ".join(lines[-MAX_HOPS:])  # each is one hop at least
    whole = len(text) <= MAX_CHARACTERS
    if not whole:
        text = text[-MAX_CHARACTERS:]
    return _forwarded(text, whole) if name == _NAME else _listed(text, whole)


def host_of(text: str) -> str | None:
    """The address in `text` without brackets and port; None if it cannot be one.

    A port may be obfuscated, as RFC 7239 allows. ``2001:db8::1:443`` is an address and has no port.
    """
    if len(text) > LONGEST_ADDRESS:
        return None
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        return host if closed and ":" in host and (not rest or _is_port(rest)) else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host if _PORT.fullmatch(port) else None
    return text


def _is_port(text: str) -> bool:
    return text[0] == ":" and _PORT.fullmatch(text, 1) is not None


def _listed(text: str, whole: bool) -> Iterator[str | None]:
    """Addresses between commas. If the text was cut, the first one is incomplete and left out."""
    if not text and whole:
        return
    for _ in range(MAX_HOPS):
        text, comma, hop = text.rpartition(",")
        if comma or whole:
            yield host_of(hop.strip(_SPACE))
        if not comma:
            return


def _forwarded(text: str, whole: bool) -> Iterator[str | None]:
    """The ``for`` of each element."""
    if not text and whole:
        return
    end = len(text)
    for _ in range(MAX_HOPS):
        comma = _comma_before(text, end)
        if comma >= 0 or whole:
            yield _seen_by(text[comma + 1 : end])
        if comma < 0:
            return
        end = comma


def _comma_before(text: str, end: int) -> int:
    """The place of the last comma before `end` that is not in a quoted string; -1 without one.

    The text on its right is well formed if a proxy wrote it. A quote that ends a string has an even number of
    backslashes before it, and one inside a string has an odd number.
    """
    quoted = False
    place = end - 1
    while place >= 0:
        sign = text[place]
        if sign == '"':
            before = place
            while quoted and before > 0 and text[before - 1] == "\\":
                before -= 1
            if (place - before) % 2 == 0:
                quoted = not quoted
            place = before
        elif sign == "," and not quoted:
            return place
        place -= 1
    return -1


def _seen_by(element: str) -> str | None:
    """The address in the ``for`` of one element; None if it has none or more than one, or is malformed."""
    found: list[str] = []
    place, end = 0, len(element)
    while place < end:
        match = _PAIR.match(element, place)
        if match is None:
            return None
        if match["name"] is not None and match["name"].lower() == "for":
            found.append(match["token"] or _ESCAPED.sub(r"\1", match["quoted"] or ""))
        place = match.end()
    return host_of(found[0]) if len(found) == 1 else None
