"""The files of a store as one process has them open: entered by one at a time, and opened anew when that is due.

There is one `Shelf` for each directory in a process, with an `Environment` for each file, since LMDB must not open one
twice. LMDB's own locks are off: whoever is in holds a `flock` on the file itself, which the system takes back at the
instant a process dies, and which, unlike LMDB's, can be tried without waiting. Nothing here waits for long: what is
busy is answered with None.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from fcntl import LOCK_UN, flock
from os.path import lexists
from pathlib import Path
from threading import Lock, RLock
from typing import Any, Final
from weakref import WeakValueDictionary

import lmdb

from traffik.backends.lmdb.clocks import FileHead
from traffik.backends.lmdb.files import created, found, locked, read_on, reserve
from traffik.backends.lmdb.places import FILES, secured
from traffik.backends.lmdb.unkept import ReenteredError
from traffik.model.errors import BackendError, ConfigurationError

__all__ = ["Environment", "Opened", "Shelf", "shelf_in"]

_LOOK: Final = 100_000
"""µs after which to look whether the file is still the one at its path."""

_log: Final = logging.getLogger("traffik.backends.lmdb")


class Opened:
    """An open file.

    Attributes:
        env: as LMDB has it.
        fd: a descriptor of our own, which carries the lock.
        head: its head record.
        offset: what makes the machine's monotonic clock its own, µs.
        begin: begins a transaction.
        look_at: when to look at its path again, µs on the file's clock.
        mark_at: when to move the mark.
        writes: how many there have been; every few of them something is swept.
        hand: the key behind which sweeping goes on.
        size: how many bytes of it are mapped.
        pages: how many pages that is.
        limit: bytes it can grow to.
        cramped: whether it should.
    """

    __slots__ = (
        "begin",
        "cramped",
        "env",
        "fd",
        "hand",
        "head",
        "identity",
        "limit",
        "look_at",
        "mark_at",
        "offset",
        "pages",
        "size",
        "writes",
    )

    def __init__(self, fd: int, env: lmdb.Environment, head: FileHead, limit: int) -> None:
        self.env = env
        self.fd = fd
        self.head = head
        self.offset = head.offset
        self.begin: Callable[..., Any] = env.begin
        self.look_at = self.mark_at = self.writes = 0
        self.hand = b""
        self.limit = limit
        self.cramped = False
        self.identity = _identity(os.fstat(fd))
        self.adopt()

    def adopt(self) -> None:
        """Take note of the size of the file."""
        self.size = os.fstat(self.fd).st_size
        self.pages = self.size // self.env.stat()["psize"]


class Environment:
    """One file, in this process.

    Args:
        path: where it is.
        map_size: bytes it may grow to.
        durable: whether it is read on after a restart of the machine.
        create: whether it is made if it is not there.

    Attributes:
        opened: the open file; None if it is not open.
        lock: held by the thread that is in; it knows its owner, so a signal's handler cannot deadlock on it.
        within: whether somebody is in, which whoever has got the lock sees only if it is this thread itself.
    """

    def __init__(self, path: Path, map_size: int, *, durable: bool, create: bool) -> None:
        self.path = path
        self.map_size = map_size
        self.durable = durable
        self.create = create
        self.opened: Opened | None = None
        self.lock = RLock()
        self.within = False

    def enter(self, clock: Callable[[], int]) -> Opened | None:
        """The open file, in which nobody else is until `leave`; None if somebody is.

        Raises:
            BackendError: it is not to be made, and there is none that counts.
            ReenteredError: this thread is in.
            ConfigurationError: the directory or the file is refused.
            OSError, lmdb.Error: it cannot be opened.
        """
        if not self.lock.acquire(blocking=False):
            return None
        if self.within:
            self.lock.release()  # the lock on the file is left to those who are in: there is one for each process
            raise ReenteredError(
                "a signal's handler, or a strategy, used the store while this very thread was deciding a hit in the "
                "same file: let the handler only note the signal, and hit later"
            )
        entered = None
        try:
            self.within = True
            opened = self.opened
            if opened is not None and clock() // 1000 + opened.offset >= opened.look_at:
                self._look(opened, clock)
                opened = self.opened
            if opened is None:
                opened = self.opened = self._open(clock)
            entered = opened if opened is not None and locked(opened.fd) else None
        finally:
            if entered is None:
                self.within = False
                self.lock.release()
        return entered

    def leave(self, opened: Opened) -> None:
        """Let others in."""
        self.within = False
        try:
            if self.opened is opened:
                flock(opened.fd, LOCK_UN)
        finally:
            self.lock.release()

    def _look(self, opened: Opened, clock: Callable[[], int]) -> None:
        """Close the file if it is no longer the one at its path, or not whole; it is then found, or made, anew."""
        try:
            seen = self.path.lstat()
        except FileNotFoundError:
            seen = None
        if seen is None or _identity(seen) != opened.identity:
            _log.warning("%s is gone: limits go on in the file that is there now", self.path)
            self._close()
        elif seen.st_size < opened.size:
            _log.warning("%s has been cut short: its limits begin anew", self.path)
            self.discard(opened)
        else:
            opened.look_at = clock() // 1000 + opened.offset + _LOOK
            opened.limit = self.map_size

    def grow(self, opened: Opened) -> bool:
        """Double the file, whose place on the device is taken at once; False if it cannot grow."""
        opened.cramped = False
        size = min(2 * opened.size, opened.limit)
        if size <= opened.size:
            return False
        try:
            reserve(opened.fd, opened.size, size)
        except OSError:
            opened.limit = opened.size  # until the next look
            return False
        self.remap(opened)
        return True

    def remap(self, opened: Opened) -> None:
        """See all of a file that has grown."""
        opened.env.set_mapsize(os.fstat(opened.fd).st_size)
        opened.adopt()

    def discard(self, opened: Opened) -> None:
        """Let a damaged file be nobody's: others see that it is gone, and all begin anew.

        Who makes no files leaves that to those who do.
        """
        with suppress(FileNotFoundError):
            if self.create and _identity(self.path.lstat()) == opened.identity:
                self.path.unlink()
        self._close()

    def close(self) -> None:
        """Close the file; it is opened again when it is entered. A durable one is on its device afterwards."""
        with self.lock:
            if self.durable and self.opened is not None:
                self.opened.env.sync(True)
            self._close()

    def _close(self) -> None:
        opened, self.opened = self.opened, None
        if opened is not None:
            opened.env.close()
            os.close(opened.fd)

    def after_fork_in_child(self) -> None:
        """Let go of what is the parent's: with LMDB's locks off, closing it here takes nothing from the parent."""
        self._close()

    def _open(self, clock: Callable[[], int]) -> Opened | None:
        """Find or make the file; None if somebody else is about to, or is in it."""
        secured(self.path.parent, create=self.create)
        place = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not locked(place):
                return None
            fd = found(self.path)
            return self._made(clock) if fd is None else self._reopened(fd, clock)
        finally:
            os.close(place)

    def _reopened(self, fd: int, clock: Callable[[], int]) -> Opened | None:
        """The file of a descriptor, or a new one in its place."""
        kept = False
        try:
            if not locked(fd):
                return None
            known = read_on(self.path, fd, clock() // 1000, durable=self.durable)
            if known is not None:
                kept = True
                return Opened(fd, *known, self.map_size)
        finally:
            if not kept:
                os.close(fd)
        return self._made(clock)

    def _made(self, clock: Callable[[], int]) -> Opened:
        """A new file, in the place of one that counts no more, if there is one."""
        if not self.create:
            raise BackendError(
                f"{str(self.path)!r} is gone, from before the last restart of the machine, or no quota: it can be used "
                f"once a store that makes files has opened it, as the application does"
            )
        return Opened(*created(self.path, clock() // 1000, durable=self.durable), self.map_size)


class Shelf:
    """The files in one directory, in this process.

    Args:
        directory: where they are.
        map_size: bytes they may grow to together.
        durable: whether they are read on after a restart of the machine.
        create: whether those are made that are not there.
    """

    def __init__(self, directory: Path, map_size: int, *, durable: bool, create: bool) -> None:
        self.directory = directory
        self.map_size = map_size
        self.durable = durable
        self.create = create
        paths = [directory / f"quota-{number}.mdb" for number in range(FILES)]
        self.environments = [Environment(path, map_size // FILES, durable=durable, create=create) for path in paths]

    def present(self, numbers: Iterable[int]) -> Iterable[int]:
        """Those of some files that can be entered: all if they are made, else those that are there."""
        return numbers if self.create else [each for each in numbers if lexists(self.environments[each].path)]

    def check(self) -> None:
        """See that somebody has a store here.

        Raises:
            ConfigurationError: nobody has, or the directory is refused.
            OSError: the directory cannot be looked into.
        """
        with suppress(FileNotFoundError, NotADirectoryError):
            secured(self.directory, create=False)
            if any(lexists(environment.path) for environment in self.environments):
                return
        raise ConfigurationError(
            f"there is no store in {str(self.directory)!r}, since no file in it is called quota-0.mdb or alike: give "
            f"the directory that the application gives its store, once that has been opened"
        )

    def close(self) -> None:
        """Close the files; each is opened again when it is entered. Durable ones are on their device afterwards."""
        for environment in self.environments:
            environment.close()


def shelf_in(directory: Path, map_size: int, *, durable: bool, create: bool) -> Shelf:
    """The shelf of this process in a directory.

    Raises:
        ConfigurationError: another store has it, with other settings.
    """
    with _registry:
        shelf = _shelves.get(directory)
        if shelf is None:
            shelf = _shelves[directory] = Shelf(directory, map_size, durable=durable, create=create)
    if (shelf.map_size, shelf.durable, shelf.create) != (map_size, durable, create):
        raise ConfigurationError(
            f"another store of this process has {str(directory)!r} with map_size={shelf.map_size}, "
            f"durable={shelf.durable} and create={shelf.create}, not {map_size}, {durable} and {create}: make them "
            f"alike, or give one another path"
        )
    return shelf


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


_shelves: WeakValueDictionary[Path, Shelf] = WeakValueDictionary()
_registry: Final = Lock()
_held: list[Environment] = []


def _before_fork() -> None:
    # With every lock held nobody of this process is in, so a child inherits no half of a transaction and no lock.
    _registry.acquire()
    for shelf in tuple(_shelves.values()):
        for environment in shelf.environments:
            environment.lock.acquire()
            _held.append(environment)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().lock.release()
    _registry.release()


def _after_fork_in_child() -> None:
    for environment in _held:
        environment.after_fork_in_child()
    _after_fork_in_parent()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
