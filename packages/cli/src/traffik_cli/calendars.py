"""Calendars for times without a zone or a year, from the time zones of this machine and today's date."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta  # noqa: TID251 - the zones of Python know no other times
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.times import Calendar

__all__ = ["LocalClock", "calendar_of"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - on a local clock


@dataclass(frozen=True, slots=True)
class LocalClock:
    """The local clock of a time zone. It can be sent to another process.

    Attributes:
        name: the name of the zone, such as ``Europe/Berlin``.
    """

    name: str

    def __call__(self, seconds: int) -> int:
        """Convert local time to UTC, both in seconds since 1970."""
        local = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=_zone(self.name))
        return int(local.timestamp())


def calendar_of(timezone: str | None) -> Calendar:
    """The calendar for logs written in `timezone`; UTC if None.

    Raises:
        ConfigurationError: there is no such zone.
    """
    year, month, day, *_ = time.gmtime()
    today = (year, month, day)
    if timezone is None:
        return Calendar(today=today)
    try:
        _zone(timezone)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(
            f"{timezone!r} is not a time zone: give a name such as Europe/Berlin, or UTC"
        ) from None
    return Calendar(LocalClock(timezone), today)


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
