"""What a reader makes of a block of a log: hits with their instants, and the lines that it could not read.

A hit is as little as deciding needs. Where one key and no rule is asked about, it is that key alone, as it stands in
the log; else a tuple: a key for each selector, then method and path. This is what makes a replay quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from traffik_cli.replay.selectors import Selector

__all__ = ["SHOWN", "Batch", "Hit", "LineReader", "Malformed", "Parsed", "Wanted", "timed"]

Hit: TypeAlias = Any
"""One request: `bytes` (or None, without a key) where only a key is wanted, else a tuple."""

SHOWN: Final = 10
"""Malformed lines of a block that are kept to be shown; all are counted."""


class Batch(NamedTuple):
    """Some hits.

    Attributes:
        times: the instant of each, µs since the epoch.
        hits: the hits.
    """

    times: list[int]
    hits: list[Hit]

    def only(self, chosen: Sequence[bool]) -> Batch:
        """Some of the hits: `chosen` says of each whether it is one of them."""
        return Batch(list(compress(self.times, chosen)), list(compress(self.hits, chosen)))


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
        batch: the hits, in the order of the log.
        lines: the lines of the block, blank ones too.
        malformed: how many of them could not be read.
        shown: the first of those, with numbers that count from the block's first line.
    """

    batch: Batch
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


def timed(times: Sequence[int | None], hits: list[Hit]) -> Batch:
    """Hits with their instants; those without one are left out."""
    known = [now for now in times if now is not None]
    return Batch(known, hits if len(known) == len(hits) else list(compress(hits, (now is not None for now in times))))
