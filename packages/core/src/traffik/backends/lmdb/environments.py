"""The files of this process: each used by one thread at a time, and opened again when that is necessary.

A process has one `Environment` for a file, since LMDB must not open a file twice. LMDB's own locks are off: a process
that uses a file holds a `flock` on it. The system releases it as soon as the process dies, and a process can try for it
without waiting, unlike LMDB's locks. Nothing here waits: a busy file is an error.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from fcntl import LOCK_UN, flock
from pathlib import Path
from threading import RLock
from typing import Final
from weakref import WeakValueDictionary

import lmdb

from traffik.backends.lmdb.files import (
    FileBusyError,
    FileSettings,
    OpenFile,
    Transaction,
    create_file,
    lock_file,
    open_file,
)
from traffik.backends.lmdb.maintenance import sweep
from traffik.backends.lmdb.paths import FILES, check_directory, check_file
from traffik.backends.lmdb.unwritable import ReenteredError
from traffik.model.errors import BackendError, ConfigurationError

__all__ = ["Environment", "environment_at"]

_CHECK: Final = 100_000  # µs after which to check that the file is still the one at its path

_log: Final = logging.getLogger("traffik.backends.lmdb")


class Environment:
    """One file in this process."""

    def __init__(self, path: Path, settings: FileSettings) -> None:
        self.path = path
        self.settings = settings
        self.file: OpenFile | None = None
        self.transaction: Transaction | None = None  # None in use: the file is missing, and not made here
        # held by the thread that uses the file; reentrant, so a signal handler cannot deadlock
        self.lock: RLock = RLock()
        self.user: object | None = None  # if set while this thread holds the lock, the thread uses the file already

    def enter(self, user: object, clock: Callable[[], int], write: bool) -> None:
        """Give the file to `user` in this thread alone, with a transaction, or raise FileBusyError.

        Call `leave` afterwards, even after an error.
        """
        if not self.lock.acquire(blocking=False):
            raise FileBusyError
        if self.user is not None:
            self.lock.release()  # and keep the lock on the file, which the interrupted hit needs
            raise ReenteredError(
                "a signal handler, or a strategy, used the store while its own thread was deciding a hit in the same "
                "file: let the handler only note the signal, and hit later"
            )
        self.user = user
        file, now = self.file, clock() // 1000
        if file is None or now >= file.check_at:
            if not self.settings.create and not os.path.lexists(self.path):
                return
            file = self._find(now)
        lock_file(file.fd)
        try:
            self.transaction = Transaction(file, clock() // 1000, write)
        except lmdb.MapResizedError:  # another process has made the file grow
            file.remap()
            self.transaction = Transaction(file, clock() // 1000, write)

    def leave(self, user: object) -> None:
        """Let other threads use the file, if `user` has entered it. Uncommitted changes are dropped.

        Each step may be the last if a signal handler raises an error. Called again, it does the others.
        """
        if self.user is user:
            if self.transaction is not None:
                self.drop()
            if self.file is not None:
                flock(self.file.fd, LOCK_UN)
            self.user = None
        if self.user is None:
            try:  # noqa: SIM105 - a signal handler may raise an error while `suppress` begins
                self.lock.release()
            except RuntimeError:  # this thread does not hold it
                pass

    def commit(self) -> None:
        """Commit the changes of the transaction."""
        if self.transaction is not None:
            self.transaction.lmdb.commit()
            self.transaction = None

    def drop(self) -> None:
        """Undo the changes of the transaction, unless it is committed."""
        if self.transaction is not None:
            self.transaction.lmdb.abort()
            self.transaction = None

    def make_room(self, clock: Callable[[], int]) -> bool:
        """Drop the transaction and let the file grow, or sweep it if it cannot; whether it has grown."""
        self.drop()
        if self.file is None or self.file.grow():
            return self.file is not None
        with suppress(lmdb.MapFullError):
            self.transaction = Transaction(self.file, clock() // 1000, True)
            sweep(self.transaction)
            self.commit()
        return False

    def _find(self, now: int) -> OpenFile:
        """The file at the path; the open one, if that is still there, safe, and has not been truncated."""
        if self.file is not None:
            if not self.file.is_at(self.path):
                _log.warning("%s is gone: limits go on in the file that is there now", self.path)
                self._close()
            elif (found := os.fstat(self.file.fd)).st_size < self.file.size:
                _log.warning("%s has been truncated: its limits start afresh", self.path)
                self.discard()
            else:
                check_file(self.path, found)
        if self.file is None:
            self.file = self._open(now)
        self.file.check_at = now + _CHECK
        self.file.limit = self.settings.map_size // FILES  # the disk may have room again
        return self.file

    def _open(self, now: int) -> OpenFile:
        check_directory(self.path.parent, create=self.settings.create)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            lock_file(directory)
            found = open_file(self.path, now, self.settings)
            if found is None and not self.settings.create:
                raise BackendError(
                    f"{str(self.path)!r} is gone, is from before the last restart of the machine, or holds no quota: "
                    f"let a store that makes files open it first, as the application does"
                )
            return found or create_file(self.path, now, self.settings)
        finally:
            os.close(directory)

    def discard(self) -> None:
        """Delete a damaged file, so that all processes start afresh. A store that makes no files only closes it."""
        self.drop()
        if self.settings.create and self.file is not None and self.file.is_at(self.path):
            self.path.unlink()
        self._close()

    def close(self) -> None:
        """Close the file until it is used again; a durable one is written to disk."""
        with self.lock:
            if self.settings.durable and self.file is not None:
                self.file.env.sync(True)
            self._close()

    def _close(self) -> None:
        file, self.file = self.file, None
        if file is not None:
            file.close()


def environment_at(path: Path, settings: FileSettings) -> Environment:
    """The environment of this process for the file at `path`."""
    with _lock:
        found = _environments.get(path)
        if found is None:
            found = _environments[path] = Environment(path, settings)
    if found.settings != settings:
        raise ConfigurationError(
            f"another store of this process has {str(path.parent)!r} with other settings, {found.settings}, not "
            f"{settings}: make them alike, or give one another path"
        )
    return found


_environments: WeakValueDictionary[Path, Environment] = WeakValueDictionary()
_lock: Final = RLock()
_held: list[Environment] = []


def _before_fork() -> None:
    # With every lock held no thread uses a file, so a child inherits neither half a transaction nor a lock.
    _lock.acquire()
    for environment in tuple(_environments.values()):
        environment.lock.acquire()
        _held.append(environment)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().lock.release()
    _lock.release()


def _after_fork_in_child() -> None:
    for environment in _held:
        environment._close()  # the child opens files for itself
    _after_fork_in_parent()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
