"""Reads the times of many lines, and remembers them: neighbours have the same time, or at least the same second."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import add, itemgetter
from typing import Any, Final

from traffik_cli.replay.records import text_of
from traffik_cli.replay.times import Calendar, instant

__all__ = ["Instants"]

_MOST: Final = 4096
_MOST_ZONES: Final = 64
_SECONDS: Final = 9e9
"""A number below it is a time in seconds."""

_POINTS: Final = frozenset(".,")
_HEAD: Final = 20
"""The characters of a time up to its fraction, with the point."""

_FRONT: Final = itemgetter(slice(None, _HEAD))
_BACK: Final = itemgetter(slice(_HEAD, None))

_LEAP: Final = 60
"""The number of a second that is added to a day."""

_FRACTION: Final = re.compile(r"(\d{1,9})(\D.*|)", re.ASCII | re.DOTALL)
_SHORT: Final = 3
"""Digits of a fraction that comes again."""


class _Known(dict[Any, int | None]):
    """Instants by the values that they were read from."""

    def __init__(self, calendar: Calendar) -> None:
        super().__init__()
        self._calendar = calendar
        self._zones: dict[str, tuple[_Heads, _Tails]] = {}

    def __missing__(self, value: Any) -> int | None:
        if value.__class__ is str and value[_HEAD - 1 : _HEAD] in _POINTS:
            try:
                heads, tails = self.zone(value)
                return heads[value[:_HEAD]] + tails[value[_HEAD:]]
            except KeyError:
                return instant(value, self._calendar)
        if len(self) >= _MOST:
            self.clear()
        found = self[value] = instant(text_of(value) if isinstance(value, bytes) else value, self._calendar)
        return found

    def zone(self, text: str) -> tuple[_Heads, _Tails]:
        """The instants of both parts of times with a fraction of a second that are in the same zone as this one.

        Raises:
            KeyError: it has no fraction.
        """
        match = _FRACTION.fullmatch(text, _HEAD)
        if match is None:
            raise KeyError(text)
        zone = match[2]
        found = self._zones.get(zone)
        if found is None:
            if len(self._zones) >= _MOST_ZONES:
                self._zones.clear()
            found = self._zones[zone] = _Heads(zone, self._calendar), _Tails(zone)
        return found


class _Heads(dict[str, int]):
    """The instants of seconds by the text up to the fraction, for times with one text behind it."""

    def __init__(self, zone: str, calendar: Calendar) -> None:
        super().__init__()
        self._zone = zone
        self._calendar = calendar
        self._minute, self._began = "-", 0

    def __missing__(self, head: str) -> int:
        if head[-1:] not in _POINTS or head[-4:-3] != ":":  # no time of day, but a long number
            raise KeyError(head)
        if head[:-3] != self._minute:
            began = instant(f"{head[:-3]}00{head[-1]}0{self._zone}", self._calendar)
            if began is None:
                raise KeyError(head)
            self._minute, self._began = head[:-3], began
        second = head[-3:-1]
        if not (second.isdigit() and second.isascii() and int(second) <= _LEAP):
            raise KeyError(head)
        now = self._began + int(second) * 1_000_000
        if len(self) >= _MOST:
            self.clear()
        self[head] = now
        return now


class _Tails(dict[str, int]):
    """The µs of fractions by the text behind the point, which ends with the zone."""

    def __init__(self, zone: str) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, tail: str) -> int:
        match = _FRACTION.fullmatch(tail)
        if match is None or match[2] != self._zone:
            raise KeyError(tail)
        micros = int(match[1][:6].ljust(6, "0"))
        if len(match[1]) <= _SHORT:
            self[tail] = micros
        return micros


class Instants:
    """Times as they stand in records, as µs since the epoch.

    Args:
        calendar: fills in what times do not say.
    """

    __slots__ = ("_known",)

    def __init__(self, calendar: Calendar) -> None:
        self._known = _Known(calendar)

    def all(self, values: Sequence[Any]) -> list[int | None]:
        """The instants of all values, in their order; None for each that is no time."""
        known, read = self._known, self.read
        first = values[0] if values else None
        if isinstance(first, str) and first[_HEAD - 1 : _HEAD] in _POINTS:
            try:
                heads, tails = known.zone(first)
                begun = map(heads.__getitem__, map(_FRONT, values))
                return list(map(add, begun, map(tails.__getitem__, map(_BACK, values))))
            except (KeyError, TypeError):  # one of them is no text, has no fraction, or another zone
                pass
        elif {*map(type, values)} == {str}:
            return list(map(known.__getitem__, values))
        return [
            round(value * 1e6) if value.__class__ is float and 0 <= value < _SECONDS else read(value)
            for value in values
        ]

    def read(self, value: Any) -> int | None:
        """The instant of a value; None if it is no time."""
        try:
            return None if value.__class__ is bool else self._known[value]  # which is equal to a number
        except TypeError:  # a list or an object of JSON
            return None
