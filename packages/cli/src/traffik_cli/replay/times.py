"""Times in logs: text or numbers in, µs since the epoch out.

Four kinds are read: text that begins with the year (ISO 8601), text with the name of a month (Apache, nginx, syslog,
HTTP, Kibana), a date with dots (10.10.2025), and numbers since the epoch in seconds, milliseconds, microseconds or
nanoseconds, told apart by their size. Times before the epoch, or after the year 2255, where JSON numbers lose the µs,
are not times of requests.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

__all__ = ["UTC", "Calendar", "bracketed", "instant"]

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_CLOCK: Final = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_ZONE: Final = r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"

_YEAR_FIRST: Final = re.compile(
    rf"(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)(?:[T _]{_CLOCK})?{_ZONE}", re.ASCII
)
_DAY_FIRST: Final = re.compile(
    rf"(?:[A-Za-z]{{3}},? )?(?P<day>\d\d?)[/ -](?P<month>[A-Za-z]{{3}})[/ -](?P<year>\d{{4}})[: T]{_CLOCK}{_ZONE}",
    re.ASCII,
)
_MONTH_FIRST: Final = re.compile(
    rf"(?:[A-Za-z]{{3}} )?(?P<month>[A-Za-z]{{3}}) +(?P<day>\d\d?)(?:,? (?P<year>\d{{4}}))?(?: @|,)? {_CLOCK}{_ZONE}"
    r"(?: (?P<late>\d{4}))?",
    re.ASCII,
)
_DOTTED: Final = re.compile(rf"(?P<day>\d\d?)\.(?P<month>\d\d?)\.(?P<year>\d{{4}}),? {_CLOCK}{_ZONE}", re.ASCII)
_FORMS: Final = (_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST, _DOTTED)
_NUMBER: Final = re.compile(r"-?\d{1,25}(?:\.\d{0,25})?(?:[eE][+-]?\d{1,3})?", re.ASCII)

_END: Final = 2**53

# The sizes at which a number of the present age is taken for a finer unit, and the µs in one of it.
_UNITS: Final = ((1e17, 1e-3), (1e14, 1.0), (1e11, 1e3))


def _same(seconds: int) -> int:
    return seconds


@dataclass(frozen=True, slots=True)
class Calendar:
    """Fills in what a time does not say.

    Attributes:
        zone: turns seconds since the epoch on the local clock into seconds since the epoch, for times without a zone.
        today: the present year, month and day. A time without a year is the last one up to tomorrow. None if
            times without a year are not times.
    """

    zone: Callable[[int], int] = _same
    today: tuple[int, int, int] | None = None

    def year_of(self, month: int, day: int) -> int | None:
        """The year of a date without one."""
        if self.today is None:
            return None
        year, *now = self.today
        return year - ((month, day) > (now[0], now[1] + 1))


UTC: Final = Calendar()
"""Times without a zone are in UTC, and those without a year are not times."""


def bracketed(text: bytes, calendar: Calendar = UTC) -> int | None:
    """µs since the epoch of ``[10/Oct/2025:13:55:36 +0000]``; None if it is no time."""
    return instant(text.decode("utf-8", "replace"), calendar) if text[:1] == b"[" else None


def instant(value: object, calendar: Calendar = UTC) -> int | None:
    """µs since the epoch of a field of a log; None if it is no time."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _since_epoch(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1]
    if _NUMBER.fullmatch(text):
        return _number(text)
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return _instant(match, calendar)
    return None


def _number(text: str) -> int | None:
    whole, _, rest = text.partition(".")
    # Seconds and a fraction, as most logs write them, are read exactly; a float would be off by a µs now and then.
    if rest.isdigit() and whole.isdigit() and len(whole) < 12:
        return _within(int(whole) * 1_000_000 + _micros(rest))
    return _since_epoch(int(text) if text.lstrip("-").isdigit() else float(text))


def _instant(match: re.Match[str], calendar: Calendar) -> int | None:
    part = match.groupdict()
    month = _month(part["month"])
    day = int(part["day"])
    year = part["year"] or part.get("late")
    found = int(year) if year else calendar.year_of(month, day)
    if found is None:
        return None
    clock = _seconds(found, month, day, (int(part["hour"] or 0), int(part["minute"] or 0), int(part["second"] or 0)))
    if clock is None:
        return None
    zone = part["zone"]
    clock = calendar.zone(clock) if zone is None else clock - _offset(zone)
    return _within(clock * 1_000_000 + _micros(part["fraction"] or ""))


def _month(text: str) -> int:
    """The number of a month; 0 for a name that is none."""
    return int(text) if text.isdigit() else _MONTHS.get(text.lower(), 0)


def _offset(zone: str) -> int:
    """Seconds that a zone is ahead of UTC."""
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    offset = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
    return -offset if zone[0] == "-" else offset


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
