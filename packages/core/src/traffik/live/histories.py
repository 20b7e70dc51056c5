"""The numbers of admitted and refused hits over time, in buckets of equal length. Pure.

Buckets begin at multiples of their length, by the clock of the machine, so those of several workers can be added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import Final, NamedTuple

__all__ = ["BUCKET_SECONDS", "Bucket", "History", "add_up", "rates_of"]

BUCKET_SECONDS: Final = 5
"""Seconds in a bucket."""


class Bucket(NamedTuple):
    """What happened in `BUCKET_SECONDS` seconds.

    Attributes:
        start: seconds since 1970.
        admitted: hits.
        refused: hits.
    """

    start: int
    admitted: int
    refused: int


class History:
    """The buckets of the last minutes.

    Args:
        seconds: how long a bucket is kept.
    """

    def __init__(self, seconds: int) -> None:
        self._most = max(1, seconds // BUCKET_SECONDS)
        self._buckets: dict[int, Bucket] = {}

    def add(self, admitted: int, refused: int, now: float) -> None:
        """Count hits at the time `now`."""
        start = int(now) // BUCKET_SECONDS * BUCKET_SECONDS
        _, before, against = self._buckets.get(start, Bucket(start, 0, 0))
        self._buckets[start] = Bucket(start, before + admitted, against + refused)
        for old in [each for each in self._buckets if each <= start - self._most * BUCKET_SECONDS]:
            del self._buckets[old]

    def buckets(self) -> list[Bucket]:
        """The buckets, the oldest first. Those without hits may be missing."""
        return sorted(self._buckets.values())


def add_up(histories: Iterable[Iterable[Sequence[int]]], seconds: int, now: float) -> list[Bucket]:
    """The sum of several histories: each bucket of the last `seconds`, the oldest first."""
    last = int(now) // BUCKET_SECONDS * BUCKET_SECONDS
    starts = range(last - (seconds // BUCKET_SECONDS - 1) * BUCKET_SECONDS, last + 1, BUCKET_SECONDS)
    sums = {start: [0, 0] for start in starts}
    for bucket in (each for history in histories for each in history):
        start, admitted, refused = bucket
        if start in sums:
            sums[start][0] += admitted
            sums[start][1] += refused
    return list(starmap(Bucket, ((start, *sums[start]) for start in starts)))


def rates_of(buckets: Sequence[Bucket], now: float) -> tuple[float, float]:
    """Hits admitted and refused a second, over the bucket before the last one and what has passed of the last."""
    recent = buckets[-2:]
    seconds = max(1.0, now - recent[0].start) if recent else 1.0
    return sum(each.admitted for each in recent) / seconds, sum(each.refused for each in recent) / seconds
