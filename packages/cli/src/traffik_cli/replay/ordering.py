"""The order of time: what came late within a window takes its place, and several logs become one.

A server may write a request when it ends, and a collector in any order. Runs wait until everything that may still come
before them has come; what comes later than the window is taken at the time reached by then, and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush, merge
from itertools import count

from traffik_cli.replay.batches import Hit, Run

__all__ = ["Sorter", "in_time"]


@dataclass(slots=True)
class Sorter:
    """Puts the runs of one log in order.

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
    _waiting: dict[int, list[Hit]] = field(default_factory=dict)
    _times: deque[int] = field(default_factory=deque)
    _behind: list[int] = field(default_factory=list)

    def arrange(self, runs: Iterable[Run]) -> Iterator[Run]:
        """The same hits, in order; those of one instant stay as they came."""
        waiting, times, window = self._waiting, self._times, self.window
        newest = reached = -(2**63)
        for now, hits in runs:
            if now > newest:  # as nearly all of a log's
                newest = now
                waiting[now] = hits
                times.append(now)
                while times[0] < newest - window:
                    reached = self._earliest()
                    yield reached, waiting.pop(reached)
                continue
            if now < newest:
                self.disordered += len(hits)
                self.worst = max(self.worst, newest - now)
                if now < reached:
                    self.late += len(hits)
                    now = reached  # noqa: PLW2901 - it is too late for its own
            there = waiting.get(now)
            if there is None:
                waiting[now] = hits
                heappush(self._behind, now)
            else:
                there += hits
        while waiting:
            reached = self._earliest()
            yield reached, waiting.pop(reached)

    def _earliest(self) -> int:
        """Take the earliest of the instants: of those that came in order, and of those that came behind a later one."""
        if self._behind and (not self._times or self._behind[0] < self._times[0]):
            return heappop(self._behind)
        return self._times.popleft()


def in_time(logs: list[Iterator[Run]]) -> Iterator[Run]:
    """The runs of several logs, each in order, as one; at one instant the log that was named first goes first."""
    if len(logs) == 1:
        return logs[0]
    places = count()
    # The place parts runs of one instant, so that hits are never compared.
    keyed = [_placed(log, next(places)) for log in logs]
    return ((now, hits) for now, _, hits in merge(*keyed))


def _placed(log: Iterator[Run], place: int) -> Iterator[tuple[int, int, list[Hit]]]:
    for now, hits in log:
        yield now, place, hits
