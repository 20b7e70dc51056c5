"""What the times in logs mean: text or numbers in, µs since the epoch out.

Apache's and nginx's ``10/Oct/2025:13:55:36 +0000``, ISO 8601 (without a zone it is taken for UTC), and seconds,
milliseconds, microseconds or nanoseconds since the epoch, told apart by their size. What lies before the epoch, or
beyond the year 2255, where a number of JSON is no more exact to the µs, is no time of a request.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import date
from typing import Final

__all__ = ["bracketed", "instant", "iso"]

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_BRACKETED: Final = re.compile(
    rb"\[(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? ([+-])(\d\d)(\d\d)\]"
)
_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"\s*(?:[Zz]|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"-?\d{1,25}(?:\.\d{0,25})?(?:[eE][+-]?\d{1,3})?", re.ASCII)

_END: Final = 2**53

# The sizes at which a number of the present age is taken for a finer unit, and the µs in one of it.
_UNITS: Final = ((1e17, 1e-3), (1e14, 1.0), (1e11, 1e3))


def bracketed(text: bytes) -> int | None:
    """µs since the epoch of ``[10/Oct/2025:13:55:36 +0000]``; None if it is no such thing."""
    match = _BRACKETED.fullmatch(text)
    month = _MONTHS.get(match[2]) if match else None
    if match is None or month is None:
        return None
    day, _, year, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    zone = (int(hours) * 60 + int(minutes)) * (-60 if sign == b"-" else 60)
    clock = _seconds(int(year), month, int(day), (int(hour), int(minute), int(second)))
    return None if clock is None else _within((clock - zone) * 1_000_000 + _micros((fraction or b"").decode()))


def iso(text: str) -> int | None:
    """µs since the epoch of a time as in ISO 8601; None if it is no such thing."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction = match.groups()[:7]
    zone = (int(match["hours"] or 0) * 60 + int(match["minutes"] or 0)) * (-60 if match["sign"] == "-" else 60)
    clock = _seconds(int(year), int(month), int(day), (int(hour or 0), int(minute or 0), int(second or 0)))
    return None if clock is None else _within((clock - zone) * 1_000_000 + _micros(fraction or ""))


def instant(value: object) -> int | None:
    """µs since the epoch of whatever a field of a log holds; None if it is no time."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _since_epoch(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _NUMBER.fullmatch(text):
        whole, _, rest = text.partition(".")
        # Seconds and a fraction, as most logs write them, are read exactly; a float would be off by a µs now and then.
        if rest.isdigit() and whole.isdigit() and len(whole) < 12:
            return _within(int(whole) * 1_000_000 + _micros(rest))
        return _since_epoch(int(text) if text.lstrip("-").isdigit() else float(text))
    found = iso(text)
    if found is not None:
        return found
    return bracketed((text if text.startswith("[") else f"[{text}]").encode("utf-8", "replace"))


def _since_epoch(value: float) -> int | None:
    if not abs(value) < 1e19:  # nor is an infinity or not-a-number a time
        return None
    if isinstance(value, int) and abs(value) < 1e11:
        return _within(value * 1_000_000)
    unit = next((unit for bound, unit in _UNITS if abs(value) >= bound), 1e6)
    return _within(round(value * unit))


def _within(now: int) -> int | None:
    return now if 0 <= now < _END else None


def _micros(fraction: str) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _seconds(year: int, month: int, day: int, clock: tuple[int, int, int]) -> int | None:
    hour, minute, second = clock
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        date(year, month, day)
    except ValueError:
        return None
    return timegm((year, month, day, hour, minute, second))
