"""The time in a file: the machine's monotonic clock, which is the same in all processes, plus an offset.

The offset is in the head record of the file. It is 0 unless the file is durable. The first process that opens a durable
file after a restart of the machine sets a new offset: the time is then that of the wall clock, or that of the last
mark if the wall clock is behind it. So time continues after a restart, never goes back, and does not follow changes of
the wall clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from struct import Struct, error
from typing import Final, NamedTuple

__all__ = ["HEAD_KEY", "FileHead", "boot_id", "new_head", "read_head", "resume_head"]

HEAD_KEY: Final = b"\x00"
"""The key of the head record; no name of a state begins with it."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_LAYOUT: Final = Struct("=Bqq8s")
_VERSION: Final = 1

_wall: Callable[[], int] = time.time_ns


class FileHead(NamedTuple):
    """The head record of a file."""

    offset: int  # µs added to the monotonic clock
    mark: int  # µs on the clock of the file, in the past; a durable file moves it about once a second
    salt: bytes  # so that a client cannot choose its overflow bucket

    def pack(self) -> bytes:
        """The record as a value."""
        return _LAYOUT.pack(_VERSION, *self)


def read_head(value: bytes | None) -> FileHead | None:
    """The head record in a value; None if there is none of this version."""
    try:
        version, *rest = _LAYOUT.unpack(value or b"")
    except error:
        return None
    return FileHead(*rest) if version == _VERSION else None


def boot_id() -> bytes:
    """The id of this boot of the machine; empty on systems without one, which are all but Linux."""
    try:
        return _BOOT_ID.read_bytes().strip()
    except OSError:
        return b""


def new_head(monotonic: int, *, durable: bool) -> FileHead:
    """The head of a new file, at `monotonic` µs."""
    offset = _wall() // 1000 - monotonic if durable else 0
    return FileHead(offset, monotonic + offset, os.urandom(8))


def resume_head(head: FileHead, monotonic: int, *, same_boot: bool) -> FileHead:
    """The head of a durable file that is opened again, at `monotonic` µs."""
    if same_boot and monotonic + head.offset >= head.mark:
        return head
    now = max(_wall() // 1000, head.mark)
    return head._replace(offset=now - monotonic, mark=now)
