"""The directory of a store's files. It belongs to this user, and no other user can write to it.

Another user who could write there could give clients quota, or take it from them. No file is opened here.
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

__all__ = ["FILES", "check_directory", "check_file", "check_store", "file_name", "resolve_directory"]

FILES: Final = 16
"""The number of files that share the keys of a directory, so that workers rarely need the same file at once."""

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def file_name(number: int) -> str:
    """The name of a file."""
    return f"quota-{number}.mdb"


def resolve_directory(path: str | os.PathLike[str] | None) -> Path:
    """The directory at `path`, or the default one, with symbolic links above it resolved.

    The default is on memory-backed storage if there is any, else with the temporary files.

    Raises:
        ConfigurationError: the path is empty, such as that of a variable which is not set, or a URL.
    """
    if path is None:
        base = next(base for base in _bases() if base.is_dir() and os.access(base, os.W_OK))
        path = base / f"traffik-{os.geteuid()}"
    if not os.fspath(path):
        raise ConfigurationError("the path of a store is empty: name a directory, or leave it out for the default one")
    if "://" in os.fspath(path):
        raise ConfigurationError(f"the path of a store is a directory, such as '/dev/shm/shop', not the URL {path!r}")
    chosen = Path(path).absolute()
    return chosen.resolve() if chosen.name == ".." else chosen.parent.resolve() / chosen.name


def _bases() -> Iterator[Path]:
    yield Path("/dev/shm")  # noqa: S108 - the directory made in it is checked, like any other
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime)
    yield Path(tempfile.gettempdir())


def check_directory(directory: Path, *, create: bool) -> None:
    """Check that no other user can write to `directory` or replace it.

    With `create`, missing directories are made first, with mode 0700.
    """
    for above in reversed(directory.parents):
        _make(above, wanted=create)
        _check_above(directory, above)
    _make(directory, wanted=create)
    found = directory.lstat()
    _check_owner(directory, found)
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(directory, "it is not a directory")


def check_store(directory: Path) -> None:
    """Check that there is a store in `directory`, and that no other user can write to it or replace it."""
    with suppress(FileNotFoundError, NotADirectoryError):
        check_directory(directory, create=False)
        if any(os.path.lexists(directory / file_name(number)) for number in range(FILES)):
            return
    raise ConfigurationError(
        f"there is no store in {str(directory)!r}, since it has no file such as {file_name(0)}: give the directory of "
        f"the application's store, once the application has opened it"
    )


def check_file(path: Path, found: os.stat_result) -> None:
    """Check that an existing file is a plain file of this user, to which no other user can write."""
    _check_owner(path, found)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise _refused(path, "it is not a plain file with one name")


def _make(directory: Path, *, wanted: bool) -> None:
    if wanted and not os.path.lexists(directory):
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)


def _check_above(directory: Path, above: Path) -> None:
    found = above.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _refused(directory, f"{above} has become a symbolic link")
    if found.st_uid not in {0, os.geteuid()}:
        raise _refused(directory, f"{above} belongs to user {found.st_uid}, who could replace it")
    if found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX:
        raise _refused(directory, f"others may write to {above}, and could replace it")


def _check_owner(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _refused(path, "it is a symbolic link")
    if found.st_uid != os.geteuid():
        raise _refused(path, f"it belongs to user {found.st_uid}, and this process runs as user {os.geteuid()}")
    if found.st_mode & _OTHERS_WRITE:
        raise _refused(path, f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})")


def _refused(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"quota cannot be kept in {str(path)!r}: {reason}; give the store a directory that only this user can write to"
    )
