"""Rates and the text they are written in.

A rate is an amount of quota per period. This module parses the text. An error shows the grammar and the place of the
mistake. How a rate is counted is up to the strategies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NoReturn, TypeAlias

from traffik.model.calendars import LONGEST, CalendarPeriod, zone_named
from traffik.model.descriptions import describe
from traffik.model.errors import RateError

__all__ = ["UNLIMITED", "Rate", "Rates", "Time", "parse_rates", "parse_time"]

_GRAMMAR: Final = (
    'write "<limit>/<period>": "100/min", "5/s", "10/30s", "200/500ms", "2 per second", "5 requests per minute", '
    '"1,000/hour" '
    '(units: us, ms, s, min, h, day, week); calendar periods as "1000/month", "100/day tz=Europe/Berlin" '
    '(units: day, week, month, year); several as "10/s; 1000/hour"; or "unlimited"'
)

# Largest first: text is written with the largest unit that divides the period.
_UNITS: Final = {
    "week": 604_800_000_000,
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "min": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_SPELLINGS: Final = {
    "week": ("w", "week", "weeks"),
    "day": ("d", "day", "days"),
    "hour": ("h", "hr", "hrs", "hour", "hours"),
    "min": ("m", "min", "mins", "minute", "minutes"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "millisecond", "milliseconds"),
    "us": ("us", "µs", "microsecond", "microseconds"),
}
_CALENDAR: Final = {
    **{spelling: unit for unit in ("day", "week") for spelling in _SPELLINGS[unit]},
    **dict.fromkeys(("mo", "month", "months"), "month"),
    **dict.fromkeys(("y", "yr", "year", "years"), "year"),
}
"""The units of calendar periods. Days and weeks are of the calendar only where a time zone is given."""

_PERIODS: Final = {spelling: _UNITS[unit] for unit, names in _SPELLINGS.items() for spelling in names}

_MAX_LIMIT: Final = 2**53 - 1
_MAX_PERIOD: Final = 36_500 * _UNITS["day"]  # a century: every instant of it is still exact below 2**53 µs

# The parts of a rate in order. They also find the first place where a text does not match. [0-9] and not \d, which
# matches the digits of every script.
_PIECES: Final = (
    r"\s*",
    r"(?P<limit>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)",
    r"\s*",
    r"(?:\b(?:request|hit|call|message|unit)s?\b)?",
    r"\s*",
    r"(?:/|\bper\b)",
    r"\s*",
    r"(?P<count>[0-9]+)?",
    r"\s*",
    r"(?P<unit>[a-zµ]+)",
    r"(?:\s+tz\s*=\s*(?P<zone>[a-z0-9_+/-]+))?",
    r"\s*",
)
_TEXT: Final = re.compile("".join(_PIECES), re.IGNORECASE)


@dataclass(frozen=True, slots=True, init=False)
class Rate:
    """An amount of quota per period. Compares, hashes and prints by value.

    Args:
        limit: units of cost, 0 to 2**53 - 1; 0 admits nothing.
        period: microseconds (1 to a century) or a `datetime.timedelta`.
        calendar: the calendar period that it counts; `period` is then the longest one of its unit.

    Raises:
        RateError: either is out of its range or of another type.
    """

    limit: int
    period: int
    calendar: CalendarPeriod | None = field(default=None, repr=False)

    def __init__(self, limit: int, period: int | timedelta, calendar: CalendarPeriod | None = None) -> None:
        if isinstance(period, timedelta):
            period = period // timedelta(microseconds=1)
        _check("limit", limit, 0, _MAX_LIMIT)
        _check("period", period, 1, _MAX_PERIOD)
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "period", period)
        object.__setattr__(self, "calendar", calendar)

    @classmethod
    def parse(cls, text: str) -> Rate:
        """The rate that `text` is.

        Raises:
            RateError: the text is not exactly one rate. The message shows the grammar and the place of the mistake.
        """
        if not isinstance(text, str):
            raise RateError(f"a rate is text, not {describe(text)} ({type(text).__name__}): {_GRAMMAR}")
        if text.strip().lower() == "unlimited":
            return UNLIMITED
        match = _TEXT.fullmatch(text)
        if match is None:
            _refuse(text, *_first_mistake(text))
        if match["zone"] is not None or match["unit"].lower() in _CALENDAR.keys() - _PERIODS.keys():
            return cls._of_calendar(text, match)
        unit = _PERIODS.get(match["unit"].lower())
        if unit is None:
            _refuse(text, match.start("unit"), f"{match['unit']!r} is not a unit of time")
        limit = _number(text, match, "limit", _MAX_LIMIT)
        count = 1 if match["count"] is None else _number(text, match, "count", _MAX_PERIOD // unit)
        if count == 0:
            _refuse(text, match.start("count"), "a period cannot be 0")
        return cls(limit, count * unit)

    @classmethod
    def _of_calendar(cls, text: str, match: re.Match[str]) -> Rate:
        unit = _CALENDAR.get(match["unit"].lower())
        if unit is None:
            _refuse(text, match.start("unit"), f"{match['unit']!r} is not a calendar period (day, week, month, year)")
        if match["count"] is not None:
            _refuse(text, match.start("count"), "a calendar period is a single one")
        calendar = CalendarPeriod(unit, match["zone"] or "UTC")
        zone_named(calendar.zone)
        return cls(_number(text, match, "limit", _MAX_LIMIT), LONGEST[unit], calendar)

    @property
    def unlimited(self) -> bool:
        """Whether this is `UNLIMITED`."""
        return self is UNLIMITED

    def __str__(self) -> str:
        """The text from which `parse` makes an equal rate."""
        if self.unlimited:
            return "unlimited"
        if self.calendar is not None:
            return f"{self.limit}/{self.calendar}"
        name, unit = next((name, unit) for name, unit in _UNITS.items() if self.period % unit == 0)
        count = self.period // unit
        return f"{self.limit}/{name}" if count == 1 else f"{self.limit}/{count}{name}"

    def __reduce__(self) -> tuple[object, ...]:
        return (Rate.parse, (str(self),))


def _unlimited() -> Rate:
    rate = object.__new__(Rate)
    object.__setattr__(rate, "limit", _MAX_LIMIT)
    object.__setattr__(rate, "period", 0)
    object.__setattr__(rate, "calendar", None)
    return rate


UNLIMITED: Final = _unlimited()
"""The rate that admits everything and counts nothing. In text it is ``"unlimited"``."""

Rates: TypeAlias = Rate | str | Iterable[Rate | str]
"""The type of arguments named `rate`: a rate, text, or several of them."""


def parse_rates(rates: Rates) -> tuple[Rate, ...]:
    """The rates in a `Rate`, a text (with ``;`` between several) or an iterable of those, in the order given.

    `UNLIMITED` is left out, so ``"unlimited"`` alone gives ``()``.

    Raises:
        RateError: something among them is not a rate, or they are empty.
    """
    found = tuple(_each(rates))
    if not found:
        raise RateError(f"no rate in {describe(rates)}: {_GRAMMAR}")
    return tuple(dict.fromkeys(rate for rate in found if not rate.unlimited))


Time: TypeAlias = str | timedelta
"""The type of arguments that are a length of time: text such as ``"60s"`` or ``"5 min"``, or a `timedelta`."""


def parse_time(time: Time, what: str) -> int:
    """A length of time in µs, 1 to a century.

    Raises:
        RateError: it is none; the message calls it `what`.
    """
    if isinstance(time, timedelta):
        return Rate(1, time).period
    try:
        rate = Rate.parse(f"1/{time}")
    except RateError:
        rate = None
    if rate is None or rate.calendar is not None:
        raise RateError(
            f"{what} is a length of time, such as 60s, 5 min or 1 day, or a timedelta, not {describe(time)}"
        )
    return rate.period


def _each(rates: Rates) -> Iterable[Rate]:
    if isinstance(rates, Rate):
        yield rates
    elif isinstance(rates, str):
        yield from map(Rate.parse, rates.split(";"))
    elif isinstance(rates, Iterable) and not isinstance(rates, bytes | bytearray | memoryview):
        for rate in rates:
            yield from _each(rate)
    else:
        raise _no_rate(rates)


def _no_rate(given: object) -> RateError:
    """The error for something that is neither a rate nor text. It shows how to write a number as a rate."""
    example = f"for {given} per minute write {_per_minute(given)}, or " if type(given) is int else ""
    return RateError(f"a rate is a Rate or text, not {describe(given)} ({type(given).__name__}): {example}{_GRAMMAR}")


def _check(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int:
        raise RateError(f"the {name} of a rate is an integer, not {describe(value)} ({type(value).__name__})")
    if not least <= value <= most:
        raise RateError(f"the {name} of a rate is from {least} to {most}, not {describe(value)}")


def _number(text: str, match: re.Match[str], group: str, most: int) -> int:
    digits = match[group].replace(",", "")
    # The length is compared first: int() of a megabyte of digits is slow, and Python refuses it.
    if len(digits.lstrip("0")) > len(str(most)) or int(digits) > most:
        _refuse(text, match.start(group), f"too large (at most {most})")
    return int(digits)


def _first_mistake(text: str) -> tuple[int, str]:
    """The first place where a text does not match the grammar, and the reason."""
    place = 0
    for piece in _PIECES:
        match = re.compile(piece, re.IGNORECASE).match(text, place)
        if match is None:
            break
        place = match.end()
    if re.fullmatch(r"\s*[0-9]+\s*", text):
        return place, f"not a rate, since it has no period; for a rate per minute write {_per_minute(text.strip())}"
    if text[place : place + 1] == ",":
        return place, "not a rate, since a comma separates groups of three digits, as in 1,000"
    return place, "not a rate"


def _per_minute(number: object) -> str:
    return f'rate="{str(number)[:20]}/min"'


def _refuse(text: str, place: int, why: str) -> NoReturn:
    start = max(0, place - 40)
    shown = repr(text[start : place + 40])
    # A repr may lengthen the text before the mistake, so its length is measured.
    column = len(repr(text[start:place])) - 1
    raise RateError(f"{why}:\n  {shown}\n  {' ' * column}^\n{_GRAMMAR}")
