"""Several logs in one stream, as ``zcat -f access.log*`` writes them: the newest first, then one from the day before.

A stream is cut where time falls back by more than the window. Each part is in order within the window; all are kept in
a temporary file, and merged as several files are.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Final

from traffik_cli.replay.batches import Run

__all__ = ["Segments"]

_MOST: Final = 256
"""Parts at most; what falls back further is late in the last of them."""

_RUNS: Final = 5_000
"""Runs that are written, and read again, at once."""


@dataclass(slots=True)
class Segments:
    """Cuts one stream into parts.

    Args:
        window: how far time may fall back within a part, µs.
    """

    window: int
    _file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    _parts: list[list[int]] = field(default_factory=list)
    _waiting: list[Run] = field(default_factory=list)

    def cut(self, runs: Iterable[Run]) -> list[Iterator[Run]]:
        """The parts, in the order in which they stand."""
        newest = -(2**63)
        for run in runs:
            if not self._parts or (run[0] < newest - self.window and len(self._parts) < _MOST):
                self._keep()
                self._parts.append([])
                newest = run[0]
            newest = max(newest, run[0])
            self._waiting.append(run)
            if len(self._waiting) >= _RUNS:
                self._keep()
        self._keep()
        return [self._read(offsets) for offsets in self._parts]

    def _keep(self) -> None:
        if self._waiting:
            self._parts[-1].append(self._file.tell())
            pickle.dump(self._waiting, self._file, pickle.HIGHEST_PROTOCOL)
            self._waiting = []

    def _read(self, offsets: list[int]) -> Iterator[Run]:
        for offset in offsets:
            self._file.seek(offset)
            yield from pickle.load(self._file)  # noqa: S301 - our own temporary file
