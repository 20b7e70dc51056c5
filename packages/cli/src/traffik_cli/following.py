"""A log that grows: read to its end, and on as lines come, until the user stops it.

A file that is rotated (another one takes its name) or truncated (it becomes shorter) is read on from its new beginning.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Final

from traffik.model.errors import ConfigurationError
from traffik_cli.sources import Text, is_compressed, lines_in

__all__ = ["Followed", "Stop", "stopping"]

_PAUSE: Final = 0.2
"""Seconds between two looks at a file that has not grown."""


@dataclass(slots=True)
class Stop:
    """Whether the user wants to stop."""

    asked: bool = False


@contextmanager
def stopping() -> Generator[Stop]:
    """Let Ctrl-C and SIGTERM stop the reading, and not the program; a second one ends the program as usual."""
    stop = Stop()
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        stop.asked = True
        restore()

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    for number in usual:
        signal.signal(number, end)
    try:
        yield stop
    finally:
        restore()


@dataclass(frozen=True, slots=True)
class Followed:
    """A log that is followed.

    Attributes:
        name: the path, or ``-`` for standard input, which is read until it ends.
        stop: whether to stop.
        size: unknown, since it grows.
        in_parts: it is one log, in order.
    """

    name: str
    stop: Stop
    size: None = None
    in_parts: bool = False

    def blocks(self, moved: Callable[[int], object]) -> Iterator[bytes]:
        """The lines as they come; `moved` is also called, with 0, while there are none.

        Raises:
            ConfigurationError: it cannot be read, or is compressed.
        """
        try:
            grown = _Stream(self.stop, moved) if self.name == "-" else _File(self.name, self.stop, moved)
            with closing(grown):
                yield from lines_in(Text(grown, self.name), grown, moved)
        except OSError as error:
            raise ConfigurationError(f"cannot read {self.name}: {error.strerror or error}") from None


class _Growing:
    """Something to read that waits for more, until it ends or the user stops it."""

    def __init__(self, stop: Stop, moved: Callable[[int], object]) -> None:
        self.taken = 0
        self.ended = False
        self._stop = stop
        self._moved = moved

    def read(self, size: int, /) -> bytes:
        """What there is, up to so many bytes; none at the end."""
        while not self._stop.asked and not self.ended:
            data = self.more(size)
            if data:
                if not self.taken and is_compressed(data):
                    raise ConfigurationError("a compressed log does not grow: leave --follow out")
                self.taken += len(data)
                return data
            self._moved(0)
        return b""

    def more(self, size: int) -> bytes:
        """What there is, after a while at most; none if there is nothing yet."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what has been opened."""


class _Stream(_Growing):
    """Standard input."""

    def more(self, size: int) -> bytes:
        where = sys.stdin.fileno()
        if os.name != "nt" and not select.select([where], [], [], _PAUSE)[0]:
            return b""
        data = os.read(where, size)
        self.ended = not data
        return data


class _File(_Growing):
    """A file, and the next one of its name."""

    def __init__(self, name: str, stop: Stop, moved: Callable[[int], object]) -> None:
        super().__init__(stop, moved)
        self._path = Path(name)
        self._file = self._open()
        self._whole = True

    def more(self, size: int) -> bytes:
        data = self._file.read(size) or (self._file.read(size) if self._is_over() else b"")
        if data:
            self._whole = data.endswith(b"\n")
            return data
        if not self._is_over():
            time.sleep(_PAUSE)
            return b""
        self._file.close()
        self._file = self._open()
        begun, self._whole = not self._whole, True
        return b"\n" if begun else self._file.read(size)  # a line that was cut short ends here

    def close(self) -> None:
        self._file.close()

    def _open(self) -> IO[bytes]:
        return self._path.open("rb", buffering=0)

    def _is_over(self) -> bool:
        """Whether the name is another file's now, or the file has been truncated."""
        try:
            now = self._path.stat()
        except FileNotFoundError:  # moved away, and the next one is not there yet
            return False
        mine = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino) or now.st_size < self._file.tell()
