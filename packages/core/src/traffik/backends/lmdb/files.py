"""Files on disk: open, make, verify, lock and extend them.

LMDB writes through the memory map, which is the fastest way. Writing to a map for which the disk has no room would
kill the process, so the space of the whole map is reserved before it is mapped.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, Final, NamedTuple

import lmdb
from lmdb.verify import VerifyError, verify

from traffik.backends.lmdb.clocks import HEAD_KEY, FileHead, boot_id, new_head, read_head, resume_head
from traffik.backends.lmdb.paths import check_file

__all__ = ["FileBusyError", "FileSettings", "OpenFile", "Transaction", "create_file", "lock_file", "open_file"]

_SMALLEST: Final = 1 << 19  # bytes of a new file
_LOCK: Final = LOCK_EX | LOCK_NB
_TRIES: Final = 8
_SPINS: Final = 40

_problems: Final[Callable[..., list[str]]] = verify  # lmdb has no types for it
_log: Final = logging.getLogger("traffik.backends.lmdb")


class FileBusyError(Exception):
    """Another thread or process uses the file."""


class FileSettings(NamedTuple):
    """The settings that the stores of one process must share to use the same directory."""

    map_size: int  # bytes to which all files of the directory may grow together
    durable: bool  # whether they still count after a restart of the machine
    create: bool  # whether they are made if they are missing


@dataclass(slots=True, eq=False)
class OpenFile:
    """An open file."""

    fd: int  # carries the lock
    env: lmdb.Environment
    head: FileHead
    durable: bool
    size: int  # bytes that are mapped
    limit: int = 0  # bytes to which it can grow
    check_at: int = 0  # when to check that it is still at its path, µs on the monotonic clock
    writes: int = 0  # by this process
    swept_to: bytes = b""  # the name at which sweeping continues

    def is_at(self, path: Path) -> bool:
        """Whether it is the file at `path`."""
        try:
            return os.path.samestat(path.lstat(), os.fstat(self.fd))
        except FileNotFoundError:
            return False

    def remap(self) -> None:
        """Map all of a file that has grown."""
        self.size = os.fstat(self.fd).st_size
        self.env.set_mapsize(self.size)

    def grow(self) -> bool:
        """Double the file, and reserve the space for it; False if it cannot grow."""
        size = min(2 * self.size, self.limit)
        if size <= self.size:
            return False
        try:
            _reserve(self.fd, self.size, size)
        except OSError:
            self.limit = self.size  # until the path is checked again
            return False
        self.remap()
        return True

    def close(self) -> None:
        """Close it. With LMDB's locks off, a process that shares it through a fork does not notice."""
        self.env.close()
        os.close(self.fd)


class Transaction:
    """A transaction in an open file: all of it is kept or none of it, even if the process is killed."""

    __slots__ = ("file", "lmdb", "now")

    def __init__(self, file: OpenFile, monotonic: int, write: bool) -> None:
        self.file: OpenFile = file
        self.now: int = monotonic + file.head.offset  # µs on the clock of the file
        self.lmdb: Any = file.env.begin(None, None, write)


def lock_file(fd: int) -> None:
    """Lock a file for this process, or raise FileBusyError. Tries for some µs, as long as others hold it normally."""
    left = _TRIES
    while left:
        try:
            return flock(fd, _LOCK)
        except BlockingIOError:
            left -= 1
            for _ in range(_SPINS):  # system calls in a tight loop would slow down the process that holds the lock
                pass
    raise FileBusyError


def open_file(path: Path, now: int, settings: FileSettings) -> OpenFile | None:
    """Open and lock the file at `path`; None if there is none whose quota still counts."""
    try:
        check_file(path, path.lstat())
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    file = None
    try:
        check_file(path, os.fstat(fd))
        lock_file(fd)
        file = _read(path, fd, now, settings.durable)
    finally:
        if file is None:
            os.close(fd)
    return file


def create_file(path: Path, now: int, settings: FileSettings) -> OpenFile:
    """Make and lock a new file at `path`, in place of the one there."""
    path.unlink(missing_ok=True)
    _note_boot(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        lock_file(fd)
        env = _map(path, _SMALLEST)
        _reserve(fd, 0, _SMALLEST)
        head = new_head(now, durable=settings.durable)
        _write_head(env, head)
    except BaseException:  # raised again; other processes must not find half a file
        path.unlink()
        os.close(fd)
        raise
    return OpenFile(fd, env, head, settings.durable, _SMALLEST)


def _read(path: Path, fd: int, now: int, durable: bool) -> OpenFile | None:
    boot = boot_id()
    same_boot = _noted_boot(path) == boot
    size = os.fstat(fd).st_size
    if size < _SMALLEST or not (same_boot or durable):
        return None
    if durable and not (same_boot and boot) and not _is_sound(path):
        _log.warning("%s was damaged when the machine went down: its limits start afresh", path)
        return None
    try:
        env = _map(path, size)
    except lmdb.Error as error:
        _log.warning("%s is not an LMDB file (%s): its limits start afresh", path, error)
        return None
    with env.begin() as transaction:
        head = read_head(transaction.get(HEAD_KEY))
    if head is None:
        env.close()
        return None
    if durable:
        head = resume_head(head, now, same_boot=same_boot)
        _write_head(env, head)
        if not same_boot:
            _note_boot(path)
    return OpenFile(fd, env, head, durable, size)


def _map(path: Path, size: int) -> lmdb.Environment:
    """Map `size` bytes of a file, without LMDB's locks and without waiting for the disk."""
    return lmdb.Environment(
        str(path),
        map_size=size,
        subdir=False,
        lock=False,
        writemap=True,
        sync=False,
        metasync=False,
        meminit=False,
        readahead=False,
        mode=0o600,
        lib_version=0,
    )


def _reserve(fd: int, start: int, end: int) -> None:
    """Take the disk space of a file from byte `start` to byte `end`, or raise OSError if there is not enough."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, start, end - start)
        return
    for place in range(max(start, os.fstat(fd).st_size), end, _SMALLEST):  # pragma: no cover - not on Linux
        os.pwrite(fd, bytes(min(_SMALLEST, end - place)), place)


def _write_head(env: lmdb.Environment, head: FileHead) -> None:
    with env.begin(write=True) as transaction:
        transaction.put(HEAD_KEY, head.pack())


def _noted_boot(path: Path) -> bytes | None:
    """The boot in which a file was made or last verified; None if it is not known."""
    try:
        return path.with_suffix(".boot").read_bytes()
    except OSError:
        return None


def _note_boot(path: Path) -> None:
    note = path.with_suffix(".boot")
    note.unlink(missing_ok=True)
    with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(boot_id())


def _is_sound(path: Path) -> bool:
    """Whether every page of a file is in order. Checked without LMDB, which trusts what it reads."""
    try:
        return not _problems(str(path), subdir=False)
    except (VerifyError, OSError):
        return False
