"""The keys that come most often, found in bounded memory. Pure.

The sketch is SpaceSaving (Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k Elements in
Data Streams", 2005). It keeps a fixed number of keys. A new key replaces the one with the lowest count, and continues
from that count, which is the most by which its own count can be too high.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Heavy", "RecentSketch", "SpaceSaving"]

_K = TypeVar("_K", bound=Hashable)


class Heavy(NamedTuple, Generic[_K]):
    """A key that came often.

    Attributes:
        key: the key.
        times: how often it came, at most.
        error: by how much `times` can be too high.
    """

    key: _K
    times: int
    error: int


class SpaceSaving(Generic[_K]):
    """Counts keys, of which it keeps the most frequent.

    A key that came more than ``total / capacity`` times is always kept.

    Args:
        capacity: keys that are kept, at least 1.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._counts: dict[_K, tuple[int, int]] = {}

    def add(self, key: _K, times: int = 1) -> None:
        """Count a key."""
        count, error = self._counts.pop(key, (0, 0))
        if not count and len(self._counts) >= self.capacity:
            rarest = min(self._counts, key=lambda each: self._counts[each][0])
            count = error = self._counts.pop(rarest)[0]
        self._counts[key] = count + times, error

    def top(self) -> list[Heavy[_K]]:
        """The keys that are kept, the most frequent first."""
        found = [Heavy(key, count, error) for key, (count, error) in self._counts.items()]
        return sorted(found, key=lambda each: -each.times)


class RecentSketch(Generic[_K]):
    """The keys that came most often lately: two sketches, of which the older one is dropped when a new one begins.

    Args:
        capacity: keys in each sketch.
        span: seconds after which the next sketch begins, so counts cover one to two spans.
    """

    def __init__(self, capacity: int, span: float) -> None:
        self._capacity, self._span = capacity, span
        self._now: SpaceSaving[_K] = SpaceSaving(capacity)
        self._before: SpaceSaving[_K] = SpaceSaving(capacity)
        self._since: float | None = None

    def add(self, key: _K, times: int, now: float) -> None:
        """Count a key at the time `now`, in seconds."""
        self._turn(now)
        self._now.add(key, times)

    def top(self, most: int, now: float) -> list[Heavy[_K]]:
        """At most so many keys, the most frequent first."""
        self._turn(now)
        found: dict[_K, tuple[int, int]] = {}
        for key, count, error in (*self._before.top(), *self._now.top()):
            counted, wrong = found.get(key, (0, 0))
            found[key] = counted + count, wrong + error
        heavy = [Heavy(key, count, error) for key, (count, error) in found.items()]
        return sorted(heavy, key=lambda each: -each.times)[:most]

    def _turn(self, now: float) -> None:
        if self._since is None:
            self._since = now
        passed = (now - self._since) / self._span
        if passed < 1:
            return
        self._before = self._now if passed < 2 else SpaceSaving(self._capacity)
        self._now, self._since = SpaceSaving(self._capacity), now
