"""What happened when, in memory that does not grow with the length of a log.

Requests and refusals are counted in steps of time that get longer as the log does; the busiest second and minute are
kept exactly. Times come in order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["Peak", "Stretch", "Timeline", "wider"]

_SECOND: Final = 1_000_000
# Each divides the next, so that steps can be joined.
_STEPS: Final = (1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 604_800, 4_838_400, 48_384_000)
_MOST: Final = 600
"""Steps kept at most."""


class Peak(NamedTuple):
    """The busiest stretch of a fixed length.

    Attributes:
        requests: how many there were.
        at: when it began, µs since the epoch.
    """

    requests: int = 0
    at: int = 0


_NONE: Final = Peak()


class Stretch(NamedTuple):
    """What happened in one step of time.

    Attributes:
        at: when it began, µs since the epoch.
        requests: all there were.
        refused: those refused.
    """

    at: int
    requests: int
    refused: int


def wider(steps: Sequence[Stretch], step: int, most: int) -> tuple[list[Stretch], int]:
    """Steps of `step` µs joined so that no more than `most` cover their span; and how long they are, µs."""
    if not steps:
        return [], step
    span = steps[-1].at + step - steps[0].at
    widths = [each * _SECOND for each in _STEPS if each * _SECOND >= step]
    width = next((each for each in widths if span <= most * each), widths[-1])
    joined: dict[int, list[int]] = {}
    for at, requests, refused in steps:
        found = joined.setdefault(at // width * width, [0, 0])
        found[0] += requests
        found[1] += refused
    return [Stretch(at, *found) for at, found in joined.items()], width


@dataclass(slots=True)
class Timeline:
    """Counts in time.

    Attributes:
        first: the first instant, µs; None before there is one.
        last: the last.
        second: the busiest second.
        minute: the busiest minute.
    """

    first: int | None = None
    last: int = 0
    second: Peak = _NONE
    minute: Peak = _NONE
    _step: int = 0
    _steps: dict[int, list[int]] = field(default_factory=dict)
    _now: int = -1
    _requests: int = 0
    _refused: int = 0
    _minute: int = -1
    _in_minute: int = 0

    @property
    def step(self) -> int:
        """How long a step is, µs."""
        return _STEPS[self._step] * _SECOND

    def add(self, times: Sequence[int], refused: Sequence[int]) -> None:
        """Add requests; they come in order, and never before the last.

        Args:
            times: the instant of each, µs.
            refused: the instants of those refused.
        """
        if not times:
            return
        if self.first is None:
            self.first = times[0]
        self.last = times[-1]
        place = gone = 0
        while place < len(times):
            now = times[place] // _SECOND
            if now != self._now:
                self._flush()
                self._now = now
            end = bisect_left(times, (now + 1) * _SECOND, place)
            over = bisect_left(refused, (now + 1) * _SECOND, gone)
            self._requests += end - place
            self._refused += over - gone
            place, gone = end, over

    def steps(self) -> list[Stretch]:
        """All steps, in order, those without a request left out."""
        self._flush()
        width = _STEPS[self._step]
        return [
            Stretch(place * width * _SECOND, requests, refused)
            for place, (requests, refused) in sorted(self._steps.items())
        ]

    def _flush(self) -> None:
        """Enter the second that is over."""
        if not self._requests:
            return
        if self._requests > self.second.requests:
            self.second = Peak(self._requests, self._now * _SECOND)
        minute = self._now // 60
        if minute != self._minute:
            self._minute, self._in_minute = minute, 0
        self._in_minute += self._requests
        if self._in_minute > self.minute.requests:
            self.minute = Peak(self._in_minute, minute * 60 * _SECOND)
        place = self._now // _STEPS[self._step]
        step = self._steps.get(place)
        if step is None:
            step = self._steps[place] = [0, 0]
            if len(self._steps) > _MOST and self._step + 1 < len(_STEPS):
                step = self._join()
        step[0] += self._requests
        step[1] += self._refused
        self._requests = self._refused = 0

    def _join(self) -> list[int]:
        """Make the steps longer; the one of the present second."""
        ratio = _STEPS[self._step + 1] // _STEPS[self._step]
        self._step += 1
        joined: dict[int, list[int]] = {}
        for place, (requests, refused) in self._steps.items():
            step = joined.setdefault(place // ratio, [0, 0])
            step[0] += requests
            step[1] += refused
        self._steps = joined
        return joined[self._now // _STEPS[self._step]]
