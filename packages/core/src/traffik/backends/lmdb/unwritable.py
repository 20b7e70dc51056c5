"""Errors of a store that works but cannot count one hit. They are logged, and do not count for the breaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from traffik.backends.lmdb.files import OpenFile

__all__ = ["CrampedError", "FullError", "ReenteredError", "UnwritableError"]


class UnwritableError(BackendError):
    """The store works, but it cannot count this hit."""


class FullError(UnwritableError):
    """The file has no room for it, and cannot grow."""

    def __init__(self) -> None:
        super().__init__("a file has no room for what this hit writes, and cannot grow: raise map_size")


class ReenteredError(UnwritableError):
    """This thread is using the file already: a signal handler, or a strategy, hits while a hit is being decided."""


class CrampedError(Exception):
    """A file is nearly full and can grow: decide again once it has grown."""

    def __init__(self, file: OpenFile) -> None:
        super().__init__("the file has to grow")
        self.file = file
