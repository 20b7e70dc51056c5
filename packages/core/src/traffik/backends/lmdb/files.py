"""The file of a store on its device: made, found again, proved and given room. Its caller holds the directory's lock.

LMDB writes it through the memory map, which is by far the quickest way, and writing to memory for which there is no
room on the device would kill the process. So the place of the whole map is taken before it is mapped, in steps.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final

import lmdb
from lmdb.verify import VerifyError, verify

from traffik.backends.lmdb.clocks import HEAD_KEY, FileHead, begun, boot_id, head_in, resumed
from traffik.backends.lmdb.places import check_file

__all__ = ["SMALLEST", "created", "found", "locked", "mapped", "read_on", "reserve", "store_head"]

SMALLEST: Final = 1 << 19
"""Bytes of a new file."""

_TRIES: Final = 8
"""How often a lock is tried that somebody else has, before anybody waits: others are in for a few µs at a time."""

_problems: Final[Callable[..., list[str]]] = verify  # LMDB gives it no types
_BETWEEN: Final = 40

_log: Final = logging.getLogger("traffik.backends.lmdb")


def locked(fd: int) -> bool:
    """Whether this process has the lock on a file now."""
    for _ in range(_TRIES):
        try:
            flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            for _ in range(_BETWEEN):  # while trying keeps the other one from going on, in the kernel
                pass
        else:
            return True
    return False


def found(path: Path) -> int | None:
    """A descriptor of the file at `path`; None if there is none.

    Raises:
        ConfigurationError: it is not a plain file of this user's alone.
    """
    try:
        check_file(path, path.lstat())
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        check_file(path, os.fstat(fd))
    except BaseException:  # whatever it is, it goes on; the descriptor would stay open
        os.close(fd)
        raise
    return fd


def created(path: Path, monotonic: int, *, durable: bool) -> tuple[int, lmdb.Environment, FileHead]:
    """A new file in the place of whatever is at `path`: its descriptor, as LMDB has it, and its head.

    Raises:
        OSError: there is no room for it.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    _note_boot(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        env = mapped(path, SMALLEST)
        reserve(fd, 0, SMALLEST)
        head = begun(monotonic, durable=durable)
        store_head(env, head)
    except BaseException:  # whatever it is, it goes on; half a file must not be found by others
        path.unlink()
        os.close(fd)
        raise
    return fd, env, head


def read_on(path: Path, fd: int, monotonic: int, *, durable: bool) -> tuple[lmdb.Environment, FileHead] | None:
    """A file that is there, as LMDB has it, and its head; None if what is in it counts no more. Its lock is held."""
    same_boot = _boot_of(path) == boot_id()
    size = os.fstat(fd).st_size
    if size < SMALLEST or not (same_boot or durable):
        return None
    if durable and not (same_boot and boot_id()) and not _sound(path):
        _log.warning("%s has been damaged by the way the machine went down: its limits begin anew", path)
        return None
    try:
        env = mapped(path, size)
    except lmdb.Error as error:
        _log.warning("%s is no file of LMDB's (%s): its limits begin anew", path, error)
        return None
    with env.begin() as transaction:
        head = head_in(transaction.get(HEAD_KEY))
    if head is None:
        env.close()
        return None
    if durable:
        head = resumed(head, monotonic, same_boot=same_boot)
        store_head(env, head)
        if not same_boot:
            _note_boot(path)
    return env, head


def mapped(path: Path, size: int) -> lmdb.Environment:
    """The file as LMDB has it, `size` bytes of it mapped: no locks, no waiting for the device."""
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


def reserve(fd: int, start: int, end: int) -> None:
    """Take the place of a file from one byte to another.

    Raises:
        OSError: there is no room for it.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, start, end - start)
        return
    for place in range(max(start, os.fstat(fd).st_size), end, SMALLEST):  # pragma: no cover - not on Linux
        os.pwrite(fd, bytes(min(SMALLEST, end - place)), place)


def store_head(env: lmdb.Environment, head: FileHead) -> None:
    """Write the head record."""
    with env.begin(write=True) as transaction:
        transaction.put(HEAD_KEY, head.pack())


def _boot_of(path: Path) -> bytes | None:
    """In which boot a file was made or last proved; None if nobody can tell."""
    try:
        return path.with_suffix(".boot").read_bytes()
    except OSError:
        return None


def _note_boot(path: Path) -> None:
    """Note that a file has been made or proved in this boot."""
    note = path.with_suffix(".boot")
    with suppress(FileNotFoundError):
        note.unlink()
    with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(boot_id())


def _sound(path: Path) -> bool:
    """Whether every page of a file is as it should be; found out without LMDB, which trusts what it reads."""
    try:
        return not _problems(str(path), subdir=False)
    except (VerifyError, OSError):
        return False
