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
    _waiting: deque[Run] = field(default_factory=deque)
    _behind: list[tuple[int, int, list[Hit]]] = field(default_factory=list)

    def arrange(self, batches: Iterable[list[Run]]) -> Iterator[list[Run]]:
        """The same hits, in order; those of one instant stay as they came."""
        waiting = self._waiting
        newest = reached = -(2**63)
        ready: list[Run] = []
        for runs in batches:
            for run in runs:
                now = run[0]
                if now >= newest:  # as nearly all of a log's
                    newest = now
                    waiting.append(run)
                    continue
                self._take(newest - self.window, ready)
                reached = ready[-1][0] if ready else reached
                self.disordered += len(run[1])
                self.worst = max(self.worst, newest - now)
                if now < reached:
                    self.late += len(run[1])
                # What is too late for its own instant is taken at the one reached. The count keeps the order at one.
                heappush(self._behind, (max(now, reached), self.disordered, run[1]))
            self._take(newest - self.window, ready)
            if ready:
                reached = ready[-1][0]
                yield ready
                ready = []
        self._take(None, ready)
        if ready:
            yield ready

    def _take(self, until: int | None, ready: list[Run]) -> None:
        """Make ready what has waited long enough: what came in order, and before it what came behind."""
        waiting, behind = self._waiting, self._behind
        while waiting and (until is None or waiting[0][0] < until):
            if behind and behind[0][0] < waiting[0][0]:
                now, _, hits = heappop(behind)
                ready.append((now, hits))
            else:
                ready.append(waiting.popleft())
        if until is None:
            ready += [(now, hits) for now, _, hits in sorted(behind)]


def in_time(logs: list[Iterator[list[Run]]]) -> Iterator[list[Run]]:
    """The runs of several logs, each in order, as one; at one instant the log that was named first goes first."""
    if len(logs) == 1:
        return logs[0]
    places = count()
    # The place parts runs of one instant, so that hits are never compared.
    keyed = [_placed(log, next(places)) for log in logs]
    return ([(now, hits)] for now, _, hits in merge(*keyed))


def _placed(log: Iterator[list[Run]], place: int) -> Iterator[tuple[int, int, list[Hit]]]:
    for runs in log:
        for now, hits in runs:
            yield now, place, hits
