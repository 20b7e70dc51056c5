"""Times in logs: text or numbers in, µs since the epoch out.

Four kinds are read: text that begins with the year (ISO 8601), text with the name of a month (Apache, nginx, syslog,
HTTP, Kibana), a date that ends with the year (10.10.2025, 10/13/2025), and numbers since the epoch in seconds,
milliseconds, microseconds or nanoseconds, told apart by their size. Times before the epoch, or after the year 2255,
where JSON numbers lose the µs, are not times of requests. Nor are those whose zone has a name of several meanings.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

__all__ = ["SPACED", "UTC", "ZONES", "Calendar", "bracketed", "day_comes_first", "instant", "is_local", "turned_back"]

_NAMES: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTHS: Final = {
    **{name[:end]: number for number, name in enumerate(_NAMES, 1) for end in range(3, len(name) + 1)},
    **{text: int(text) for text in (f"{number:0{width}}" for number in range(1, 13) for width in (1, 2))},
}
"""The numbers of months by their numbers, and by their English names, which may be cut short."""

_HOURS: Final = (
    *((0, "Z UTC GMT WET"), (1, "CET WEST"), (2, "CEST EET"), (3, "EEST MSK"), (9, "JST"), (10, "AEST"), (11, "AEDT")),
    *((12, "NZST"), (13, "NZDT"), (-4, "EDT"), (-5, "EST CDT"), (-6, "MDT"), (-7, "MST PDT"), (-8, "PST")),
    (None, "CST IST BST AST PKT HKT"),
)
ZONES: Final = {name: hours for hours, names in _HOURS for name in names.split()}
"""Names of zones, and their hours ahead of UTC; None for a name that several zones have, or that few know."""

_NAME: Final = "|".join(ZONES)
_CLOCK: Final = (
    r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
# Behind a zone, some name it again: "+0000 UTC m=+0.5", "+02:00[Europe/Berlin]", "GMT+0200 (Central European Time)".
_ZONE: Final = (
    rf"\s*(?:(?P<zone>z|(?:UTC|GMT)?[+-]\d\d(?::?\d\d)?|{_NAME})"
    rf"(?: ?\[[\w/+-]+\]| \([\w ]+\)| (?:{_NAME}|[+-]\d\d)(?= m=|\Z)| m=[+-][\d.]+)*)?"
)

_YEAR_FIRST: Final = re.compile(
    rf"(?P<year>\d{{4}})(?P<sign>[-/.])(?P<month>\d\d)(?P=sign)(?P<day>\d\d)(?:[T _]{_CLOCK})?{_ZONE}", re.ASCII
)
_COMPACT: Final = re.compile(
    rf"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)[T ]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
    rf"(?:[.,](?P<fraction>\d{{1,9}}))?{_ZONE}",
    re.ASCII,
)
_DAY_FIRST: Final = re.compile(
    rf"(?:[A-Za-z]{{3,9}},? )?(?P<day>\d\d?)[/ -](?P<month>[A-Za-z]{{3,9}})[/ -](?P<year>\d{{4}}|\d\d)[: T]"
    rf"{_CLOCK}{_ZONE}",
    re.ASCII,
)
_MONTH_FIRST: Final = re.compile(
    rf"(?:[A-Za-z]{{3,9}},? )?(?P<month>[A-Za-z]{{3,9}}) +(?P<day>\d\d?)(?:,? (?P<year>\d{{4}}))?(?: @|,| at)? {_CLOCK}"
    rf"{_ZONE}(?: (?P<late>\d{{4}}))?",
    re.ASCII,
)
_YEAR_LAST: Final = re.compile(
    rf"(?P<day>\d\d?)(?P<sign>[./-])(?P<month>\d\d?)(?P=sign)(?P<year>\d{{4}})(?:,? |T){_CLOCK}{_ZONE}", re.ASCII
)
_SHORT: Final = re.compile(rf"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d) {_CLOCK}{_ZONE}", re.ASCII)
_FORMS: Final = (_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST, _YEAR_LAST, _COMPACT, _SHORT)
_NUMBER: Final = re.compile(r"-?\d{1,25}(?:\.\d{0,25})?(?:[eE][+-]?\d{1,3})?|\d{9,11},\d{1,25}", re.ASCII)
_DIGITS: Final = 14
"""Those of a date and a clock in a row. As a number since the epoch they are in no year that is read."""

SPACED: Final = (
    r"\[?(?:\d{4}[-/]\d\d[-/]\d\d|\d\d?/[A-Za-z]{3,9}/\d{4})[ :T]\d\d?:\d\d(?::\d\d[.,\d]*)?(?: [AaPp][Mm]\b)?"
    rf"(?:Z\b| ?[+-]\d\d:?\d\d\b| (?:{_NAME})\b)?\]?"
)
"""A pattern for times in the middle of a line, which may have spaces in them."""

_SLASHED: Final = re.compile(r"(?<![\d/-])(\d\d?)[/-](\d\d?)[/-]\d{4}(?=[ ,T])", re.ASCII)

_END: Final = 2**53

_HALF_HOUR: Final = 1800
_DAY: Final = 86_400

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
        day_first: whether 10/11/2025 is the tenth of a month. None if only dates are read that can mean but one thing.
    """

    zone: Callable[[int], int] = _same
    today: tuple[int, int, int] | None = None
    day_first: bool | None = None

    def year_of(self, month: int, day: int) -> int | None:
        """The year of a date without one."""
        if self.today is None:
            return None
        year, *now = self.today
        return year - ((month, day) > (now[0], now[1] + 1))


UTC: Final = Calendar()
"""Times without a zone are in UTC, and those without a year are not times."""


def day_comes_first(text: str) -> bool | None:
    """Whether dates in `text`, such as 13/10/2025, begin with the day, or with the month; None if none of them says."""
    for match in _SLASHED.finditer(text):
        one, two = int(match[1]), int(match[2])
        if max(one, two) > 12:
            return one > two
    return None


def is_local(text: str) -> bool:
    """Whether a time names no zone, so that it means another instant in another zone."""
    return instant(text, Calendar(lambda seconds: seconds + 1, (2000, 1, 1))) != instant(
        text, Calendar(today=(2000, 1, 1))
    )


def turned_back(calendar: Calendar, first: int, last: int) -> bool:
    """Whether the clock of a calendar was turned back between two instants, so that the same times came twice."""
    start, end = (now // 1_000_000 // _DAY * _DAY for now in (first, last))
    days = (day for day in range(start - _DAY, end + _DAY, _DAY) if _gains(calendar, day, _DAY))
    halves = (local for day in days for local in range(day, day + _DAY, _HALF_HOUR))
    return any(
        _gains(calendar, local, _HALF_HOUR)
        and first < calendar.zone(local + _HALF_HOUR) * 1_000_000
        and calendar.zone(local) * 1_000_000 < last
        for local in halves
    )


def _gains(calendar: Calendar, local: int, span: int) -> bool:
    """Whether more time goes by in a span than the clock shows."""
    return calendar.zone(local + span) - calendar.zone(local) > span


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
    if _NUMBER.fullmatch(text) and not (len(text) == _DIGITS and text.isdigit()):
        return _number(text.replace(",", "."))
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
    if match.re is _YEAR_LAST:
        day, month = _turned(match, calendar)
    else:
        day, month = int(part["day"]), _month(part["month"])
    year = part["year"] or part.get("late")
    found = calendar.year_of(month, day) if year is None else int(year) if len(year) > 2 else 2000 + int(year)
    if found is None:
        return None
    hour = int(part["hour"] or 0)
    if part.get("half") is not None:
        hour = _hour(hour, part["half"])
    clock = _seconds(found, month, day, (hour, int(part["minute"] or 0), int(part["second"] or 0)))
    if clock is None:
        return None
    zone = part["zone"]
    offset = 0 if zone is None else _offset(zone)
    if offset is None:
        return None
    clock = calendar.zone(clock) if zone is None else clock - offset
    return _within(clock * 1_000_000 + _micros(part["fraction"] or ""))


def _turned(match: re.Match[str], calendar: Calendar) -> tuple[int, int]:
    """Day and month of a date that ends with the year; a month of 0 if nothing says which is which."""
    one, two = int(match["day"]), int(match["month"])
    if match["sign"] == ".":
        return one, two
    if calendar.day_first is not None:
        return (one, two) if calendar.day_first else (two, one)
    if max(one, two) <= 12:
        return one, 0
    return (one, two) if one > 12 else (two, one)


def _month(text: str) -> int:
    """The number of a month; 0 for what is none."""
    return _MONTHS.get(text.lower(), 0)


def _hour(hour: int, half: str) -> int:
    """The hour of a day on a clock of twelve; 24 if the clock has no such hour."""
    return hour % 12 + (12 if half in "Pp" else 0) if 1 <= hour <= 12 else 24


def _offset(zone: str) -> int | None:
    """Seconds that a zone is ahead of UTC; None if its name does not say."""
    signed = zone if zone[0] in "+-" else zone.removeprefix("UTC").removeprefix("GMT")
    if signed[:1] not in {"+", "-"}:
        hours = ZONES[zone.upper()]
        return None if hours is None else hours * 3600
    digits = signed[1:].replace(":", "")
    offset = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
    return -offset if signed[0] == "-" else offset


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
