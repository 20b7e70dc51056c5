"""Splits a stream of several logs, such as that of ``zcat -f access.log*``, which begins with the newest log.

A stream is split where the time goes back by more than the window. The parts are kept in a temporary file and merged
like several files.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Final

from traffik_cli.replay.batches import Batch

__all__ = ["Segments"]

_MOST: Final = 256
"""Parts at most; what falls back further is late in the last of them."""

_HITS: Final = 5_000
"""Hits that are written, and read again, at once."""


@dataclass(slots=True)
class Segments:
    """Splits one stream into parts.

    Args:
        window: the time may go back by this within a part, µs.
    """

    window: int
    _file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    _parts: list[list[int]] = field(default_factory=list)
    _waiting: Batch = field(default_factory=lambda: Batch([], []))

    def cut(self, batches: Iterable[Batch]) -> list[Iterator[Batch]]:
        """The parts, in the order of the stream."""
        newest = -(2**63)
        for batch in batches:
            start = 0
            for place, now in enumerate(batch.times):
                if not self._parts or (now < newest - self.window and len(self._parts) < _MOST):
                    self._wait(batch, start, place)
                    self._keep()
                    self._parts.append([])
                    start, newest = place, now
                newest = max(newest, now)
            self._wait(batch, start, len(batch.times))
            if len(self._waiting.times) >= _HITS:
                self._keep()
        self._keep()
        return [self._read(offsets) for offsets in self._parts]

    def _wait(self, batch: Batch, start: int, end: int) -> None:
        self._waiting.times.extend(batch.times[start:end])
        self._waiting.hits.extend(batch.hits[start:end])

    def _keep(self) -> None:
        if self._waiting.times:
            self._parts[-1].append(self._file.tell())
            pickle.dump(self._waiting, self._file, pickle.HIGHEST_PROTOCOL)
            self._waiting = Batch([], [])

    def _read(self, offsets: list[int]) -> Iterator[Batch]:
        for offset in offsets:
            self._file.seek(offset)
            yield pickle.load(self._file)  # noqa: S301 - our own temporary file
