"""Formats numbers, shares, durations and times for people."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Sequence
from datetime import date
from typing import Final

from traffik.model.rates import Rate

__all__ = [
    "clients",
    "cut",
    "is_unicode",
    "moment",
    "number",
    "percent",
    "printable",
    "span",
    "unit_of",
    "use_any_encoding",
]

_SPANS: Final = (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000))
_EPOCH: Final = date(1970, 1, 1).toordinal()


_PLAIN: Final = {"µ": "u", "≤": "<=", "≥": ">=", "…": "...", "–": "-"}
"""Signs of our own, in ASCII."""


def is_unicode() -> bool:
    """Whether standard output can write every character."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def use_any_encoding() -> None:
    """Let standard output and error write any text: our symbols in ASCII, other characters escaped."""
    codecs.register_error("traffik", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="traffik")


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = "".join(_PLAIN.get(sign) or sign.encode("unicode_escape").decode() for sign in missing)
    return plain, error.end


def number(count: int) -> str:
    """``12,345``."""
    return f"{count:,}"


def clients(count: int) -> str:
    """``1 client``, ``12,345 clients``."""
    return f"{number(count)} client{'' if count == 1 else 's'}"


def percent(part: float, whole: float) -> str:
    """``0.12 %`` of `whole`. A small share is never written as 0."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.001:
        return "< 0.001 %"
    return f"{share:.3g} %" if share < 10 else f"{share:.1f} %"


def cut(text: str, most: int) -> str:
    """Shorten a long text in the middle."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 + 1 :]}"


def printable(text: str) -> str:
    """`text` with control characters escaped, since a client may have written it."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def span(micros: int | None) -> str:
    """``1 min 2 s``, in at most two units; a wait without end is ``never admitted``."""
    if micros is None:
        return "never admitted"
    parts: list[str] = []
    for unit, size in _SPANS:
        if micros >= size and len(parts) < 2:
            parts.append(f"{micros // size} {unit}")
            micros %= size
        elif parts:
            break
    return " ".join(parts) or f"{micros} µs"


def moment(micros: int) -> str:
    """``2025-10-10 13:55:36``, UTC."""
    seconds = micros // 1_000_000
    day = date.fromordinal(_EPOCH + seconds // 86_400)
    return f"{day.isoformat()} {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def unit_of(rates: Sequence[Rate]) -> str:
    """The unit to write after a number, with a space before it; nothing for requests."""
    return f" {rates[0].noun}" if rates and rates[0].unit is not None else ""
