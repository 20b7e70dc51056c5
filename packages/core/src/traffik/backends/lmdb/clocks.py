"""What time it is for the states in a file: the machine's monotonic clock, the same in all processes, plus an offset.

The offset stands in the head record of the file. It is 0 unless the file is durable. A durable one is given another
offset by whoever opens it first in another boot of the machine: so that the time is that of the wall, or that of the
last mark where the wall says less. So it goes on over a restart, never goes back, and does not move with the wall.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from struct import Struct, error
from typing import Final, NamedTuple

__all__ = ["HEAD_KEY", "FileHead", "begun", "boot_id", "head_in", "resumed"]

HEAD_KEY: Final = b"\x00"
"""The key of the head record; those of states do not begin like this."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_LAYOUT: Final = Struct("=Bqq8s")
_VERSION: Final = 1

_wall: Callable[[], int] = time.time_ns


class FileHead(NamedTuple):
    """The head record.

    Attributes:
        offset: µs added to the monotonic clock.
        mark: a time that has been, µs; in a durable file it is moved about once a second.
        salt: bytes that differ from file to file, so that no client can aim at an overflow bucket.
    """

    offset: int
    mark: int
    salt: bytes

    def pack(self) -> bytes:
        """The record as a value."""
        return _LAYOUT.pack(_VERSION, *self)


def head_in(value: bytes | None) -> FileHead | None:
    """The head in a value; None if it is none, or in a version of the writing that this one does not know."""
    try:
        version, *rest = _LAYOUT.unpack(value or b"")
    except error:
        return None
    return FileHead(*rest) if version == _VERSION else None


def boot_id() -> bytes:
    """The name of this boot of the machine; empty where the system has none, which is everywhere but on Linux."""
    try:
        return _BOOT_ID.read_bytes().strip()
    except OSError:
        return b""


def begun(monotonic: int, *, durable: bool) -> FileHead:
    """The head of a new file, at `monotonic` µs."""
    offset = _wall() // 1000 - monotonic if durable else 0
    return FileHead(offset, monotonic + offset, os.urandom(8))


def resumed(head: FileHead, monotonic: int, *, same_boot: bool) -> FileHead:
    """The head of a durable file that is opened at `monotonic` µs."""
    if same_boot and monotonic + head.offset >= head.mark:
        return head
    now = max(_wall() // 1000, head.mark)
    return head._replace(offset=now - monotonic, mark=now)
