"""Where the files of the store may be, and what is refused: a directory of this user's that nobody else can write to.

Decides on paths only; it opens no store. Whoever else could write here could give clients quota, or take it from them.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from traffik.model.errors import ConfigurationError

__all__ = ["FILES", "check_file", "default_directory", "located", "secured"]

FILES: Final = 16
"""Files among which the keys of a directory are divided, so that few workers ever want the same one at a time."""

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def located(path: str | os.PathLike[str] | None) -> Path:
    """The directory meant: `path`, or the default one; its parents resolved, itself not."""
    chosen = default_directory() if path is None else Path(path).absolute()
    if chosen.name == "..":
        return chosen.resolve()
    return chosen.parent.resolve() / chosen.name


def default_directory() -> Path:
    """A directory of this user's on memory-backed storage if there is any, else where temporary files are."""
    return next(place for place in _bases() if place.is_dir() and os.access(place, os.W_OK)) / f"traffik-{os.geteuid()}"


def _bases() -> Iterator[Path]:
    yield Path("/dev/shm")  # noqa: S108 - the directory that is made in it is checked, like every other
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime)
    yield Path(tempfile.gettempdir())


def secured(directory: Path, *, create: bool) -> None:
    """See that nobody else can write to `directory`; make it first, for this user alone, if that is wanted and due.

    What is missing above it is made in the same way.

    Raises:
        ConfigurationError: it is no directory, belongs to somebody else, or others can write to it or replace it.
        OSError: it is not there, and cannot be made or is not to be.
    """
    for above in reversed(directory.parents):
        _make(above, wanted=create)
        _check_above(directory, above)
    _make(directory, wanted=create)
    there = directory.lstat()
    _check_owned(directory, there)
    if not stat.S_ISDIR(there.st_mode):
        raise _refused(directory, "it is no directory")


def check_file(path: Path, found: os.stat_result) -> None:
    """See that a file that is there already is a plain one of this user's, and that nobody else can write to it.

    Raises:
        ConfigurationError: it is not.
    """
    _check_owned(path, found)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise _refused(path, "it is no plain file with one name")


def _make(directory: Path, *, wanted: bool) -> None:
    if wanted and not os.path.lexists(directory):
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)


def _check_above(directory: Path, above: Path) -> None:
    """See that nobody else can put another directory in the place of this one, or of one above it."""
    found = above.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _refused(directory, f"{above} has become a symbolic link")
    if found.st_uid not in {0, os.geteuid()}:
        raise _refused(directory, f"{above} belongs to user {found.st_uid}, who could replace it")
    if found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX:
        raise _refused(directory, f"others may write to {above}, and could replace it")


def _check_owned(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _refused(path, "it is a symbolic link")
    if found.st_uid != os.geteuid():
        raise _refused(path, f"it belongs to user {found.st_uid}, and this process runs as user {os.geteuid()}")
    if found.st_mode & _OTHERS_WRITE:
        raise _refused(path, f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})")


def _refused(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"no quota is kept in {str(path)!r}: {reason}; give the store the path of a directory that is this user's alone"
    )
