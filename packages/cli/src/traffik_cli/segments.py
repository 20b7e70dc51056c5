"""Splits a stream of several logs, such as that of ``zcat -f access.log*``, which begins with the newest log.

A stream is split where the time goes back by more than the window. The parts are kept in a temporary file and merged
like several files.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, Final

from traffik_cli.replay.batches import Run

__all__ = ["Segments"]

_MOST: Final = 256
"""Parts at most; what falls back further is late in the last of them."""

_RUNS: Final = 5_000
"""Runs that are written, and read again, at once."""


@dataclass(slots=True)
class Segments:
    """Splits one stream into parts.

    Args:
        window: the time may go back by this within a part, µs.
    """

    window: int
    _file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    _parts: list[list[int]] = field(default_factory=list)
    _waiting: list[Run] = field(default_factory=list)

    def cut(self, batches: Iterable[list[Run]]) -> list[Iterator[list[Run]]]:
        """The parts, in the order of the stream."""
        newest = -(2**63)
        for run in chain.from_iterable(batches):
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

    def _read(self, offsets: list[int]) -> Iterator[list[Run]]:
        for offset in offsets:
            self._file.seek(offset)
            yield pickle.load(self._file)  # noqa: S301 - our own temporary file
