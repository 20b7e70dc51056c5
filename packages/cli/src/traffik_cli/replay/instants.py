"""Reads the times of many lines, and remembers them: neighbours have the same time, or at least the same second."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from traffik_cli.replay.records import text_of
from traffik_cli.replay.times import Calendar, instant

__all__ = ["Instants"]

_MOST: Final = 4096
_SECONDS: Final = 9e9
"""A number below it is a time in seconds."""

_POINTS: Final = frozenset(".,")
_FRACTION: Final = re.compile(r"[.,](\d{1,9})(\D.*|)", re.ASCII | re.DOTALL)


_Second: TypeAlias = tuple[str, int, int | None, str, dict[str, int]]
"""How a time begins up to its fraction; the µs of that; where the fraction ends; the zone behind it; the µs of short
fractions with that zone."""

_NO_SECOND: Final[_Second] = "-", 0, 20, "", {}
_SHORT: Final = 3
"""Digits of a fraction that comes again."""


class Instants:
    """Times as they stand in records, as µs since the epoch.

    Args:
        calendar: fills in what times do not say.
    """

    __slots__ = ("_calendar", "_known", "_seconds", "_shorts")

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._known: dict[Any, int | None] = {}
        self._seconds: dict[tuple[str, str], _Second] = {}
        self._shorts: dict[str, dict[str, int]] = {}

    def all(self, values: Iterable[Any]) -> list[int | None]:
        """The instants of all values, in their order; None for each that is no time."""
        found: list[int | None] = []
        append, read = found.append, self.read
        last = now = None
        start, begun, end, zone, short = _NO_SECOND
        for value in values:
            if value.__class__ is str:
                if value.startswith(start) and (micros := short.get(value[20:])) is not None:
                    append(begun + micros)
                    continue
                if value != last:
                    last = value
                    if not value.startswith(start) and value[19:20] in _POINTS:
                        start, begun, end, zone, short = self._second(value)
                    digits = value[20:end] if value.startswith(start) and value.endswith(zone) else ""
                    if digits.isdigit() and digits.isascii() and len(digits) <= 9:
                        micros = int(digits[:6].ljust(6, "0"))
                        now = begun + micros
                        if len(digits) <= _SHORT:
                            short[value[20:]] = micros
                    else:
                        now = read(value)
                append(now)
            elif value.__class__ is float and 0 <= value < _SECONDS:  # hardly two are the same
                append(round(value * 1e6))
            else:
                append(read(value))
        return found

    def read(self, value: Any) -> int | None:
        """The instant of a value; None if it is no time."""
        try:
            return None if value.__class__ is bool else self._known[value]  # which is equal to a number
        except KeyError:
            if len(self._known) >= _MOST:
                self._known.clear()
            text = text_of(value) if isinstance(value, bytes) else value
            found = self._known[value] = instant(text, self._calendar)
            return found
        except TypeError:  # a list or an object of JSON
            return None

    def _second(self, value: str) -> _Second:
        """The second of a time with a fraction behind its first 19 characters."""
        match = _FRACTION.fullmatch(value, 19)
        if match is None or ":" not in value[:19]:  # no time of day, but a long number
            return _NO_SECOND
        digits, zone = match.groups()
        found = self._seconds.get((value[:20], zone))
        if found is None:
            now = instant(value, self._calendar)
            if now is None:
                return _NO_SECOND
            if len(self._seconds) >= _MOST:
                self._seconds.clear()
                self._shorts.clear()
            begun = now - int(digits[:6].ljust(6, "0"))
            found = value[:20], begun, -len(zone) or None, zone, self._shorts.setdefault(zone, {})
            self._seconds[value[:20], zone] = found
        return found
