"""Chooses the body for a client by its Accept header: a problem, plain JSON, or a page (RFC 9110, section 12.5.1).

Only a client that prefers HTML to JSON gets a page, as browsers do. A header that is too long or malformed is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

__all__ = ["HTML", "JSON", "LONGEST_ACCEPT", "PROBLEM", "kind_for"]

PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"
HTML: Final = "text/html"

LONGEST_ACCEPT: Final = 1024
"""The longest Accept header that is read, in characters. Browsers send about two hundred."""

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def kind_for(lines: Sequence[str]) -> str:
    """`PROBLEM`, `JSON` or `HTML` for a client with these lines of Accept. Of equal ones, the first of the three."""
    accept = lines[0] if len(lines) == 1 else ",".join(lines)
    if accept in {"", "*/*"} or len(accept) > LONGEST_ACCEPT:
        return PROBLEM
    accept = accept.lower()
    if "json" not in accept and "text/" not in accept:
        return PROBLEM
    return _kind_for(accept)


@lru_cache(maxsize=128)  # a browser sends the same header with all its requests
def _kind_for(accept: str) -> str:
    ranges = _ranges(accept)
    weights = {kind: _weight(kind, ranges) for kind in (PROBLEM, JSON, HTML)}
    return max(weights, key=weights.__getitem__)


def _ranges(accept: str) -> dict[str, float]:
    """Media ranges with their weights. Other parameters, such as a charset, are ignored."""
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        weights = [word[2:] for word in parameters if word.startswith("q=")] or ["1"]
        if _WEIGHT.fullmatch(weights[0]):
            ranges[kind] = max(float(weights[0]), ranges.get(kind, 0.0))
    return ranges


def _weight(kind: str, ranges: dict[str, float]) -> float:
    """The weight of a media type: that of the most specific range that covers it."""
    for each in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if each in ranges:
            return ranges[each]
    return 0.0
