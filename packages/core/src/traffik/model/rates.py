"""Rates and the text they are written in.

A rate is an amount of quota per period. This module parses the text; `traffik.model.units` knows the units of quota and
the multipliers. An error shows the grammar and the place of the mistake. How a rate is counted is up to the strategies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from typing import Final, NoReturn, TypeAlias

from traffik.model.calendars import LONGEST, CalendarPeriod, zone_named
from traffik.model.descriptions import describe
from traffik.model.errors import RateError
from traffik.model.units import check_unit, meaning_of_suffix, meaning_of_word, noun_of, read_amount, write_amount

__all__ = ["UNLIMITED", "Rate", "Rates", "Time", "check_one_unit", "parse_rates", "parse_time"]

_GRAMMAR: Final = """\
write "<limit>/<period>": "100/min", "5/s", "10/30s", "200/500ms", "2 per second", "5 requests per minute", "1,000/hour"
  time: us, ms, s, min, h, day, week; of the calendar: "1000/month", "5/year", "100/day tz=Europe/Berlin"
  quota: "64 MiB/min", "20k tokens/min burst 60k", "500 emails/day"
  several rates: "10/s; 1000/hour"; no limit: "unlimited\""""

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


def _amount(name: str) -> tuple[str, ...]:
    return (
        rf"(?P<{name}>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]+)(?:\.(?P<{name}_decimals>[0-9]+))?",
        rf"(?P<{name}_suffix>[a-z]+(?![a-z0-9_-]))?",
        rf"(?:\s+(?P<{name}_word>(?!per\b)[a-z][a-z0-9_-]*))?",
        r"\s*",
    )


# The parts of a rate in order, and the reason if one does not match: they also find the first mistake in a text. [0-9]
# and not \d, which matches the digits of every script.
_PIECES: Final = (
    (r"\s*", ""),
    *((piece, "a rate begins with a whole number") for piece in _amount("limit")),
    (r"(?:/|\bper\b)", "there is no slash or per between the number and the period"),
    (r"\s*", ""),
    (r"(?P<count>[0-9]+)?", ""),
    (r"\s*", ""),
    (r"(?P<unit>[a-zµ]+)", "the period has no unit of time, such as s or min"),
    (r"(?:\s+tz\s*=\s*(?P<zone>[a-z0-9_+/-]+))?", ""),
    (r"\s*", ""),
    (rf"(?:\bburst(?:\s*=\s*|\s+){''.join(_amount('burst'))})?", ""),
)
_TEXT: Final = re.compile("".join(piece for piece, _ in _PIECES), re.IGNORECASE)


@dataclass(frozen=True, slots=True, init=False)
class Rate:
    """An amount of quota per period. Compares, hashes and prints by value.

    Args:
        limit: units of cost, 0 to 2**53 - 1; 0 admits nothing.
        period: microseconds (1 to a century) or a `datetime.timedelta`.
        calendar: the calendar period that it counts; `period` is then the longest one of its unit.
        unit: the unit of quota, as header fields name it: a word such as ``"tokens"``, ``"content-bytes"`` for bytes
            (``"bytes"`` is the same), or None for requests.
        burst: the capacity, at least 1, for strategies that have one; None for that of the strategy.

    Raises:
        RateError: one of them is out of its range or of another type.
    """

    limit: int
    period: int
    calendar: CalendarPeriod | None = None
    unit: str | None = field(default=None, hash=False)
    burst: int | None = field(default=None, hash=False)

    def __init__(
        self,
        limit: int,
        period: int | timedelta,
        calendar: CalendarPeriod | None = None,
        *,
        unit: str | None = None,
        burst: int | None = None,
    ) -> None:
        if isinstance(period, timedelta):
            period = period // timedelta(microseconds=1)
        _check("limit", limit, 0, _MAX_LIMIT)
        _check("period", period, 1, _MAX_PERIOD)
        if burst is not None:
            _check("burst", burst, 1, _MAX_LIMIT)
            if calendar is not None:
                raise RateError(f"a calendar period such as {str(calendar)!r} has no burst: leave it out")
        self._set(limit, period, calendar, check_unit(unit), burst)

    def _set(self, *values: object) -> None:
        for name, value in zip(("limit", "period", "calendar", "unit", "burst"), values, strict=True):
            object.__setattr__(self, name, value)

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
            period, calendar = _calendar_of(text, match)
        else:
            period, calendar = _period_of(text, match), None
        limit, unit = _amount_of(text, match, "limit", None)
        burst = None
        if match["burst"] is not None:
            burst, of = _amount_of(text, match, "burst", unit)
            if calendar is not None:
                _refuse(text, match.start("burst"), "a calendar period has no burst")
            if burst == 0:
                _refuse(text, match.start("burst"), "a burst cannot be 0")
            if of != unit:
                _refuse(text, match.start("burst"), f"the burst is in {noun_of(of)}, and the limit in {noun_of(unit)}")
        return cls(limit, period, calendar, unit=unit, burst=burst)

    @property
    def noun(self) -> str:
        """What is counted, for people to read: ``"requests"``, ``"bytes"``, or its own word."""
        return noun_of(self.unit)

    @property
    def unlimited(self) -> bool:
        """Whether this is `UNLIMITED`."""
        return self is UNLIMITED

    def __str__(self) -> str:
        """The text from which `parse` makes an equal rate."""
        if self.unlimited:
            return "unlimited"
        limit = write_amount(self.limit, self.unit)
        burst = "" if self.burst is None else f" burst {write_amount(self.burst, self.unit, alone=False)}"
        if self.calendar is not None:
            return f"{limit}/{self.calendar}"
        name, unit = next((name, unit) for name, unit in _UNITS.items() if self.period % unit == 0)
        count = self.period // unit
        return f"{limit}/{name}{burst}" if count == 1 else f"{limit}/{count}{name}{burst}"

    def __repr__(self) -> str:
        return f"Rate.parse({str(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (Rate.parse, (str(self),))


def _unlimited() -> Rate:
    rate = object.__new__(Rate)
    rate._set(_MAX_LIMIT, 0, None, None, None)
    return rate


UNLIMITED: Final = _unlimited()
"""The rate that admits everything and counts nothing. In text it is ``"unlimited"``."""

Rates: TypeAlias = Rate | str | Iterable[Rate | str]
"""The type of arguments named `rate`: a rate, text, or several of them."""


def parse_rates(rates: Rates) -> tuple[Rate, ...]:
    """The rates in a `Rate`, a text (with ``;`` between several) or an iterable of those, in the order given.

    `UNLIMITED` is left out, so ``"unlimited"`` alone gives ``()``.

    Raises:
        RateError: something among them is not a rate, they are empty, or they count different units.
    """
    found = tuple(_each(rates))
    if not found:
        raise RateError(f"no rate in {describe(rates)}: {_GRAMMAR}")
    limited = tuple(dict.fromkeys(rate for rate in found if not rate.unlimited))
    check_one_unit(limited)
    return limited


def check_one_unit(rates: Sequence[Rate]) -> None:
    """Check that a hit can cost the same in all `rates`.

    Raises:
        RateError: they count different units.
    """
    for other in rates[1:]:
        if other.unit != rates[0].unit:
            raise RateError(
                f"{str(rates[0])!r} counts {rates[0].noun} and {str(other)!r} counts {other.noun}, but a hit has one "
                f"cost: name the same unit in both, or make a limit for each unit"
            )


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
    if rate is None or rate.calendar is not None or rate.burst is not None:
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
    """The error for something that is neither a rate nor text. It shows how to write a number or None as a rate."""
    example = f"for {given} per minute write {_per_minute(given)}, or " if type(given) is int else ""
    if given is None:
        example = 'for no limit write "unlimited", or '
    return RateError(f"a rate is a Rate or text, not {describe(given)} ({type(given).__name__}): {example}{_GRAMMAR}")


def _check(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int:
        kind = "an integer, in microseconds, or a timedelta" if name == "period" else "an integer"
        raise RateError(
            f"the {name} of a rate is {kind}, not {describe(value)} ({type(value).__name__}); text is read by "
            f'Rate.parse("5/min")'
        )
    if not least <= value <= most:
        raise RateError(f"the {name} of a rate is from {least} to {most}, not {describe(value)}")


def _calendar_of(text: str, match: re.Match[str]) -> tuple[int, CalendarPeriod]:
    unit = _CALENDAR.get(match["unit"].lower())
    if unit is None:
        _refuse(text, match.start("unit"), f"{match['unit']!r} is not a calendar period (day, week, month, year)")
    if match["count"] is not None:
        _refuse(text, match.start("count"), "a calendar period is a single one")
    calendar = CalendarPeriod(unit, match["zone"] or "UTC")
    zone_named(calendar.zone)
    return LONGEST[unit], calendar


def _period_of(text: str, match: re.Match[str]) -> int:
    unit = _PERIODS.get(match["unit"].lower())
    if unit is None:
        _refuse(text, match.start("unit"), f"{match['unit']!r} is not a unit of time")
    if match["count"] is None:
        return unit
    try:
        count = read_amount(match["count"], "", 1, _MAX_PERIOD // unit)
    except ValueError as error:
        _refuse(text, match.start("count"), str(error))
    if count == 0:
        _refuse(text, match.start("count"), "a period cannot be 0")
    return count * unit


def _amount_of(text: str, match: re.Match[str], name: str, unit: str | None) -> tuple[int, str | None]:
    """The amount in the groups called `name`, and its unit; `unit` if none is written."""
    factor, named = _meaning(text, match, f"{name}_suffix", meaning_of_suffix)
    unit = unit if named is None else named
    if match[f"{name}_word"] is not None:
        times, unit = _meaning(text, match, f"{name}_word", meaning_of_word)
        if factor != 1 and times != 1:
            _refuse(text, match.start(f"{name}_word"), f"{match[f'{name}_suffix']!r} is a multiplier already")
        factor *= times
    try:
        return read_amount(match[name], match[f"{name}_decimals"] or "", factor, _MAX_LIMIT), unit
    except ValueError as error:
        _refuse(text, match.start(name), str(error))


def _meaning(
    text: str, match: re.Match[str], group: str, meaning: Callable[[str], tuple[int, str | None]]
) -> tuple[int, str | None]:
    """The factor and the unit that a group means."""
    if match[group] is None:
        return 1, None
    try:
        return meaning(match[group])
    except ValueError as error:
        _refuse(text, match.start(group), str(error))


def _first_mistake(text: str) -> tuple[int, str]:
    """The first place where a text does not match the grammar, and the reason."""
    place, reason = 0, "only a time zone or a burst follows the period, and semicolons separate several rates"
    for piece, why in _PIECES:
        match = re.compile(piece, re.IGNORECASE).match(text, place)
        if match is None:
            reason = why
            break
        place = match.end()
    return place, f"not a rate, since {_habit_at(text, place) or reason}"


def _habit_at(text: str, place: int) -> str | None:
    """The name of a common mistake at this place, and how to write it."""
    whole, rest = text.strip(), text[place:]
    if re.fullmatch(r"[0-9]+", whole):
        return f"it has no period; for a rate per minute write {_per_minute(whole)}"
    if re.fullmatch(r"[0-9]+\s*/\s*[0-9]+", whole):
        return f'the period has no unit; for seconds write rate="{whole[:40]}s"'
    if get_close_matches(whole.lower()[:40], ["unlimited"]):
        return 'the word is spelled "unlimited"'
    if re.search(r"[a-zµ]\s*$", text[:place], re.IGNORECASE) and re.match(r"(,|\||&|and\b)\s*[0-9]", rest):
        return "several rates are separated by semicolons"
    if re.match(r"(per|/)\s*(user|client|ip|key|address)\b", rest, re.IGNORECASE):
        return "each client has its own quota anyway; identifier= says who a client is"
    if rest.startswith(","):
        return "a comma separates groups of three digits, as in 1,000"
    if re.match(r"burst", rest, re.IGNORECASE):
        return "a burst is an amount, as in burst 60k"
    return None


def _per_minute(number: object) -> str:
    return f'rate="{str(number)[:20]}/min"'


def _refuse(text: str, place: int, why: str) -> NoReturn:
    start = max(0, place - 40)
    shown = repr(text[start : place + 40])
    # A repr may lengthen the text before the mistake, so its length is measured.
    column = len(repr(text[start:place])) - 1
    raise RateError(f"{why}:\n  {shown}\n  {' ' * column}^\n{_GRAMMAR}")
