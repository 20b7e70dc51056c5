"""One log while it is read: its lines counted, its malformed ones shown by their numbers in the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from traffik_cli.replay.batches import SHOWN, Batch, Malformed, Parsed
from traffik_cli.replay.detected import Detected
from traffik_cli.replay.ordering import Sorter

__all__ = ["Cut", "Log", "LogReport"]


@dataclass(frozen=True, slots=True)
class LogReport:
    """How the reading of a log went.

    Attributes:
        name: of the log.
        detected: the fields that were found for the client, the time and the path.
        lines: all of them.
        requests: those that are requests.
        malformed: those that could not be read.
        shown: the first of them: number and what is wrong.
        disordered: requests that stood behind a later one.
        late: those of them that came later than the window allows, and were taken at the time reached by then.
        worst: by how much the latest of them came late, µs.
    """

    name: str
    detected: Detected
    lines: int
    requests: int
    malformed: int
    shown: list[Malformed]
    disordered: int
    late: int
    worst: int


Cut: TypeAlias = Callable[[Iterator[Batch]], list[Iterator[Batch]]]
"""Cuts a stream into parts that can be read side by side."""


@dataclass(slots=True)
class Log:
    """Follows the reading of one log.

    Args:
        name: what it is called.
        window: how late a request may come and still take its place, µs.
    """

    name: str
    window: int
    spacing: int | None = None
    detected: Detected = field(default_factory=Detected)
    lines: int = 0
    requests: int = 0
    malformed: int = 0
    shown: list[Malformed] = field(default_factory=list)
    _orders: list[Sorter] = field(default_factory=list)

    def batches(self, blocks: Iterable[Parsed]) -> Iterator[Batch]:
        """The hits of all blocks, in the order of time."""
        return self._sorted(self._counted(blocks))

    def parts(self, blocks: Iterable[Parsed], cut: Cut) -> list[Iterator[Batch]]:
        """The hits of all blocks in parts, each in the order of time."""
        return [self._sorted(part) for part in cut(self._counted(blocks))]

    def _sorted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        self._orders.append(Sorter(self.window))
        return self._orders[-1].arrange(batches)

    def report(self) -> LogReport:
        """How it has gone so far."""
        orders = self._orders
        return LogReport(
            self.name,
            self.detected,
            self.lines,
            self.requests,
            self.malformed,
            self.shown,
            sum(order.disordered for order in orders),
            sum(order.late for order in orders),
            max((order.worst for order in orders), default=0),
        )

    def _counted(self, blocks: Iterable[Parsed]) -> Iterator[Batch]:
        for batch, lines, malformed, shown in blocks:
            self.requests += len(batch.hits)
            for line, reason in shown[: SHOWN - len(self.shown)]:
                self.shown.append(Malformed(self.lines + line, reason))
            self.malformed += malformed
            start = None if self.spacing is None else self.lines * self.spacing
            self.lines += lines
            # Where lines have no time, the reader counts from the first line of its block.
            yield Batch([start + now for now in batch.times], batch.hits) if start else batch
