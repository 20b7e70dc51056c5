"""Calendar periods: days, weeks, months and years that begin at midnight in a time zone.

Pure: the time comes as an argument, and time zones are data. A period lasts as long as it does in its zone, so the day
on which the clocks change has 23 or 25 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta  # noqa: TID251 - for the calendar; the time is an argument
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from traffik.model.errors import RateError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["LONGEST", "CalendarPeriod", "zone_named"]

_DAY: Final = 86_400_000_000
LONGEST: Final = {"day": _DAY, "week": 7 * _DAY, "month": 31 * _DAY, "year": 366 * _DAY}
"""The units, each with the µs of the longest, but for a change of the clocks."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """A unit of the calendar in a time zone.

    Attributes:
        unit: ``"day"``, ``"week"`` (from Monday), ``"month"`` or ``"year"``.
        zone: the name of the time zone, such as ``"Europe/Berlin"``.
    """

    unit: str
    zone: str = "UTC"

    def at(self, now: int) -> tuple[int, int]:
        """The period around `now`: its start, and the start of the next one. Times are µs since 1970."""
        zone = zone_named(self.zone)
        day = self._first_day((_EPOCH + now * _MICROSECOND).astimezone(zone).date())
        start, end = _midnight(day, zone), _midnight(self._next(day), zone)
        # Around a change of the clocks at midnight, the local date may be that of a neighbour.
        while now < start:
            day = self._first_day(day - timedelta(days=1))
            start, end = _midnight(day, zone), start
        while now >= end:
            day = self._next(day)
            start, end = end, _midnight(self._next(day), zone)
        return start, end

    def around(self, now: int, ahead: int = 3) -> tuple[int, ...]:
        """The starts of the periods around `now`: the one before, this one, and those `ahead`. µs since 1970."""
        start, end = self.at(now)
        starts = [self.at(start - 1)[0], start, end]
        while len(starts) < 2 + ahead:
            starts.append(self.at(starts[-1])[1])
        return tuple(starts)

    def _first_day(self, day: date) -> date:
        if self.unit == "week":
            return day - timedelta(days=day.weekday())
        if self.unit == "day":
            return day
        return day.replace(day=1) if self.unit == "month" else day.replace(month=1, day=1)

    def _next(self, day: date) -> date:
        """The first day of the period after the one that begins at `day`."""
        if self.unit in {"day", "week"}:
            return day + timedelta(days=1 if self.unit == "day" else 7)
        return self._first_day(day + timedelta(days=32 if self.unit == "month" else 366))

    def __str__(self) -> str:
        return f"{self.unit} tz={self.zone}"


@lru_cache(256)
def zone_named(name: str) -> ZoneInfo:
    """The time zone called `name`.

    Raises:
        RateError: there is none on this machine.
    """
    from zoneinfo import ZoneInfo  # here, since only calendar periods need it

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise RateError(
            f"{name!r} is not a time zone on this machine: write one such as tz=Europe/Berlin, or pip install tzdata "
            f"if the machine has none"
        ) from None


def _midnight(day: date, zone: ZoneInfo) -> int:
    """The instant at which a day begins, in µs since 1970; the first, if its midnight comes twice."""
    return (datetime(day.year, day.month, day.day, tzinfo=zone) - _EPOCH) // _MICROSECOND
