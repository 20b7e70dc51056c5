"""Reads the times of many lines, and remembers them: neighbours have the same time, or at least the same second."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from traffik_cli.replay.records import text_of
from traffik_cli.replay.times import Calendar, instant

__all__ = ["Instants"]

_MOST: Final = 4096
_SECONDS: Final = 9e9
"""A number below it is a time in seconds."""

_POINTS: Final = frozenset(".,")
_FRACTION: Final = re.compile(r"[.,](\d{1,9})(\D.*|)", re.ASCII | re.DOTALL)


class Instants:
    """Times as they stand in records, as µs since the epoch.

    Args:
        calendar: fills in what times do not say.
    """

    __slots__ = ("_behind", "_calendar", "_fractions", "_known", "_zones")

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._known: dict[Any, int | None] = {}
        self._forget()

    def all(self, values: Iterable[Any]) -> list[int | None]:
        """The instants of all values, in their order; None for each that is no time."""
        found: list[int | None] = []
        append, read, fractional = found.append, self.read, self._fractional
        last = now = None
        for value in values:
            if value.__class__ is str:
                if value != last:
                    last = value
                    now = fractional(value) if value[19:20] in _POINTS else read(value)
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

    def _fractional(self, value: str) -> int | None:
        """The instant of a text that has a fraction behind its first 19 characters."""
        digits = value[20:26]
        try:
            if digits.isdigit() and len(digits) == 6 and value.isascii():
                return self._behind[value[26:]][value[:19]] + int(digits)
            micros, seconds = self._fractions[value[19:]]
            return seconds[value[:19]] + micros
        except KeyError:
            return self._unknown(value)

    def _unknown(self, value: str) -> int | None:
        """The instant of a text in a second, or with a zone, that is not known."""
        now, match = instant(value, self._calendar), _FRACTION.fullmatch(value, 19)
        if now is None or match is None or ":" not in value[:19]:  # no time of day, but a long number
            return now
        if max(map(len, (self._behind, self._fractions, self._zones.get(match[2], ())))) >= _MOST:
            self._forget()
        micros = int(match[1][:6].ljust(6, "0"))
        seconds = self._zones.setdefault(match[2], {})
        seconds[value[:19]] = now - micros
        if len(match[1]) < 6:
            self._fractions[value[19:]] = micros, seconds
        else:
            self._behind[value[26:]] = seconds
        return now

    def _forget(self) -> None:
        self._zones: dict[str, dict[str, int]] = {}
        """The seconds that are known, by the zone behind them."""
        self._behind: dict[str, dict[str, int]] = {}
        """The same by what stands behind a fraction's six digits: more digits, and the zone."""
        self._fractions: dict[str, tuple[int, dict[str, int]]] = {}
        """Shorter fractions with their zones: their µs, and the seconds."""
