"""What a reader makes of a block of a log: runs of hits at one instant, and the lines that it could not read.

A hit is as little as deciding needs. Where one key and no rule is asked about, it is that key alone, as it stands in
the log; else a tuple: a key for each selector, then method and path. This is what makes a replay quick.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from traffik_cli.replay.selectors import Selector

__all__ = ["SHOWN", "Hit", "LineReader", "Malformed", "Parsed", "Run", "Wanted", "grouped"]

Hit: TypeAlias = Any
"""One request: `bytes` (or None, without a key) where only a key is wanted, else a tuple."""

Run: TypeAlias = tuple[int, list[Hit]]
"""An instant, in µs since the epoch, and the hits at it, in the order of the log."""

SHOWN: Final = 10
"""Malformed lines of a block that are kept to be shown; all are counted."""


class Malformed(NamedTuple):
    """A line that could not be read.

    Attributes:
        line: its number, from 1.
        reason: what is wrong with it.
    """

    line: int
    reason: str


class Parsed(NamedTuple):
    """What is in a block.

    Attributes:
        runs: the hits, in the order of the log.
        lines: the lines of the block, blank ones too.
        malformed: how many of them could not be read.
        shown: the first of those, with numbers that count from the block's first line.
    """

    runs: list[Run]
    lines: int
    malformed: int
    shown: list[Malformed]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read of every line.

    Attributes:
        selectors: whose quota it is, each in its own way.
        request: whether method and path are wanted too.
    """

    selectors: tuple[Selector, ...]
    request: bool = False

    @property
    def bare(self) -> bool:
        """Whether one key is all, so that hits are no tuples."""
        return len(self.selectors) == 1 and not self.request


class LineReader(Protocol):
    """Reads one format. It may be sent to another process."""

    def read(self, block: bytes) -> Parsed:
        """Read whole lines."""
        ...


def grouped(times: Iterable[int | None], hits: Iterable[Hit]) -> list[Run]:
    """Hits with their instants, gathered where neighbours share one; those without an instant are left out."""
    runs: list[Run] = []
    last, neighbours = None, list[Hit]()
    for now, hit in zip(times, hits, strict=True):
        if now == last:
            neighbours.append(hit)
        else:
            last, neighbours = now, [hit]
            if now is not None:
                runs.append((now, neighbours))
    return runs
