"""One transaction in one file. All of it is kept or none of it, even if the process is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traffik.backends.lmdb.files import OpenFile

__all__ = ["Transaction"]


class Transaction:
    """A transaction in a file that this thread has to itself.

    Args:
        file: the file.
        monotonic: µs on the machine's monotonic clock.
        write: whether it may change anything.

    Attributes:
        now: µs on the clock of the file.
        lmdb: the transaction as LMDB has it.
    """

    __slots__ = ("file", "lmdb", "now")

    def __init__(self, file: OpenFile, monotonic: int, write: bool) -> None:
        self.file = file
        self.now = monotonic + file.head.offset
        self.lmdb: Any = file.env.begin(None, None, write)
