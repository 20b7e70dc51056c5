"""A visit to the files: get in if nobody else is, do one thing there, and get out. None says that one was busy.

What has to be mended on the way is mended here: a file that has grown elsewhere, is too small, or is damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar
from zlib import crc32

import lmdb

from traffik.backends.lmdb.charging import foreseen
from traffik.backends.lmdb.states import text_of
from traffik.backends.lmdb.sweeping import sweep
from traffik.backends.lmdb.unkept import FullError
from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from traffik.backends.base import Charge
    from traffik.backends.lmdb.charging import Book
    from traffik.backends.lmdb.environments import Opened, Shelf
    from traffik.model.decisions import Decision

__all__ = ["Visitor"]

_T = TypeVar("_T")

_DAMAGED: Final = (
    lmdb.BadTxnError,
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
)
"""After these a file is given up."""


class Visitor:
    """Who does things in the files for one store.

    Args:
        shelf: where the files are.
        book: what is done in them.
        clock: nanoseconds that never go back, the same in all processes.
    """

    def __init__(self, shelf: Shelf, book: Book, clock: Callable[[], int]) -> None:
        self.shelf = shelf
        self.book = book
        self.clock = clock

    def numbers(self, key: str | None) -> Sequence[int]:
        """The number of the file that a local key is in; of all files without one."""
        count = len(self.shelf.environments)
        return range(count) if key is None else (crc32(text_of(key)) % count,)

    def apply(self, charges: Sequence[Charge]) -> list[Decision] | None:
        """Decide `charges`: those of one identity, which are in one file, in one transaction; all at one time.

        Of several files none is left before all transactions are kept.
        """
        placed = [(self.numbers(charge.key)[0], charge) for charge in charges]

        def work(files: dict[int, Opened]) -> list[Decision]:
            now = self.clock() // 1000
            times = {each: (opened, now + opened.offset) for each, opened in files.items()}
            if self.shelf.create:
                return self.book.apply(times, placed)
            absent = {at: self._unheld(*pair, now) for at, pair in enumerate(placed) if pair[0] not in files}
            kept = iter(self.book.apply(times, [pair for pair in placed if pair[0] in files]))
            return [absent[at] if at in absent else next(kept) for at in range(len(placed))]

        # In the order of their numbers, so that no two wait for each other.
        return self.visit(sorted({number for number, _ in placed}), work)

    def _unheld(self, number: int, charge: Charge, now: int) -> Decision:
        """The decision on a charge whose file is not there, nor to be made."""
        if not charge.read_only:
            path = self.shelf.environments[number].path
            raise BackendError(
                f"{str(path)!r} is not there, and this store makes no files: one that does has to come first"
            )
        return foreseen(charge, None, now)

    def forget(self, number: int, uid: str | None, key: str | None) -> bool | None:
        """Forget some of what is meant in one file; whether there may be more."""
        return self.visit((number,), lambda files: number in files and self.book.forget(files[number], uid, key))

    def look_in(self) -> bool | None:
        """Open all files; if none are made, see that there are any.

        Raises:
            ConfigurationError: there are none.
        """
        if not self.shelf.create:
            self.shelf.check()
            return True
        return self.visit(self.numbers(None), lambda _: True)

    def visit(self, numbers: Iterable[int], work: Callable[[dict[int, Opened]], _T]) -> _T | None:
        """What `work` answers on the files of these numbers, of which those may be missing that are not made."""
        environments = self.shelf.environments
        files: dict[int, Opened] = {}
        try:
            for number in self.shelf.present(numbers):
                opened = environments[number].enter(self.clock)
                if opened is None:
                    return None
                files[number] = opened
            return self._worked(files, work)
        except _DAMAGED:
            for number, opened in files.items():
                environments[number].discard(opened)
            raise
        finally:
            for number, opened in files.items():
                environments[number].leave(opened)

    def _worked(self, files: dict[int, Opened], work: Callable[[dict[int, Opened]], _T]) -> _T:
        """What `work` answers, once the files are as large as it needs."""
        environments = self.shelf.environments
        while True:
            try:
                answer = work(files)
            except lmdb.MapResizedError:
                for number, opened in files.items():
                    environments[number].remap(opened)
            except lmdb.MapFullError:
                grown = [environments[number].grow(opened) for number, opened in files.items()]
                if not any(grown):
                    self._make_room(files)
                    raise FullError("there is no room for what this hit changes: raise map_size") from None
            except FullError:
                self._make_room(files)
                raise
            else:
                for number, opened in files.items():
                    if opened.cramped:
                        environments[number].grow(opened)
                return answer

    def _make_room(self, files: dict[int, Opened]) -> None:
        """Sweep files that are full, for the next hit: the one that did not fit has undone what it has swept."""
        for opened in files.values():
            with suppress(lmdb.MapFullError), opened.begin(None, None, True) as transaction:
                sweep(opened, transaction, self.clock() // 1000 + opened.offset)
