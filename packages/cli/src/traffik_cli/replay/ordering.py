"""The order of time: what came late within a window takes its place, and several logs become one.

A server may write a request when it ends, and a collector in any order. Hits wait until everything that may still come
before them has come; what comes later than the window is taken at the time reached by then, and counted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from traffik_cli.replay.batches import Batch, Hit

__all__ = ["Sorter", "in_time"]


@dataclass(slots=True)
class Sorter:
    """Puts the hits of one log in order.

    Args:
        window: how late a hit may come and still take its place, µs, at least 0.

    Attributes:
        disordered: hits that came after a later one.
        late: how many of those came too late.
        worst: by how much the latest of them came late, µs.
    """

    window: int
    disordered: int = 0
    late: int = 0
    worst: int = 0
    _newest: int = -(2**63)
    _reached: int = -(2**63)
    _waiting: Batch = field(default_factory=lambda: Batch([], []))
    _start: int = 0
    """How many of those that wait have been taken already."""
    _behind: list[tuple[int, int, Hit]] = field(default_factory=list)

    def arrange(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same hits, in order; those of one instant stay as they came."""
        for times, hits in batches:
            ready = Batch([], [])
            if times and times[0] >= self._newest and sorted(times) == times:  # as nearly all of a log's
                self._newest = times[-1]
                self._waiting.times.extend(times)
                self._waiting.hits.extend(hits)
            else:
                for now, hit in zip(times, hits, strict=True):
                    self._place(now, hit, ready)
            self._take(self._newest - self.window, ready)
            if ready.times:
                yield ready
        ready = Batch([], [])
        self._take(None, ready)
        if ready.times:
            yield ready

    def _place(self, now: int, hit: Hit, ready: Batch) -> None:
        """Add one hit to those that wait."""
        if now >= self._newest:
            self._newest = now
            self._waiting.times.append(now)
            self._waiting.hits.append(hit)
            return
        self._take(self._newest - self.window, ready)
        self.disordered += 1
        self.worst = max(self.worst, self._newest - now)
        if now < self._reached:
            self.late += 1
        # What is too late for its own instant is taken at the one reached. The count keeps the order at one.
        heappush(self._behind, (max(now, self._reached), self.disordered, hit))

    def _take(self, until: int | None, ready: Batch) -> None:
        """Make ready what has waited long enough: what came in order, and before it what came behind."""
        (times, _), behind = self._waiting, self._behind
        end = len(times) if until is None else bisect_left(times, until, self._start)
        while behind and (place := bisect_right(times, behind[0][0], self._start, end)) < end:
            self._move(place, ready)
            now, _, hit = heappop(behind)
            ready.times.append(now)
            ready.hits.append(hit)
        self._move(end, ready)
        if until is None:
            for now, _, hit in sorted(behind):
                ready.times.append(now)
                ready.hits.append(hit)
        if ready.times:
            self._reached = ready.times[-1]
        if self._start * 2 > len(times):
            for waiting in self._waiting:
                del waiting[: self._start]
            self._start = 0

    def _move(self, end: int, ready: Batch) -> None:
        """Make ready what waits before `end`."""
        for waiting, taken in zip(self._waiting, ready, strict=True):
            taken.extend(waiting[self._start : end])
        self._start = end


def in_time(logs: list[Iterator[Batch]]) -> Iterator[Batch]:
    """The hits of several logs, each in order, as one; at one instant the log that was named first goes first."""
    return logs[0] if len(logs) == 1 else _merged(logs)


def _merged(logs: list[Iterator[Batch]]) -> Iterator[Batch]:
    read = {place: Batch([], []) for place in range(len(logs))}
    open_logs = {*read}
    until: int | None = -(2**63)
    while until is not None:
        # All hits before `until` have been taken. A log that holds nothing behind it is read on.
        for place in sorted(open_logs):
            if not read[place].times or read[place].times[-1] <= until:
                more = next(logs[place], None)
                if more is None:
                    open_logs.discard(place)
                else:
                    read[place] = Batch(read[place].times + more.times, read[place].hits + more.hits)
        until = min((read[place].times[-1] for place in open_logs), default=None)
        taken = Batch([], [])
        for place, (times, hits) in read.items():
            end = len(times) if until is None else bisect_left(times, until)
            taken.times.extend(times[:end])
            taken.hits.extend(hits[:end])
            read[place] = Batch(times[end:], hits[end:])
        if taken.times:
            order = sorted(range(len(taken.times)), key=taken.times.__getitem__)
            yield Batch([taken.times[each] for each in order], [taken.hits[each] for each in order])
