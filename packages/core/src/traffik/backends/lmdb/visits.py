"""A visit to the file: get in if nobody else is, do one thing there, and get out. None says that it was busy.

What has to be mended on the way is mended here: a file that has grown elsewhere, is too small, or is damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb

if TYPE_CHECKING:
    from traffik.backends.base import Charge
    from traffik.backends.lmdb.charging import Book
    from traffik.backends.lmdb.environments import Environment, Opened
    from traffik.decisions import Decision

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
    """Who does things in a file for one store.

    Args:
        environment: where the file is.
        book: what is done in it.
        clock: nanoseconds that never go back, the same in all processes.
    """

    def __init__(self, environment: Environment, book: Book, clock: Callable[[], int]) -> None:
        self.environment = environment
        self.book = book
        self.clock = clock

    def apply(self, charges: Sequence[Charge]) -> list[Decision] | None:
        """Decide `charges`, all in one transaction."""
        return self._visit(lambda opened: self.book.apply(opened, charges, self._now(opened)))

    def forget(self, uid: str | None, key: str | None) -> bool | None:
        """Forget some of what is meant; whether there may be more."""
        return self._visit(lambda opened: self.book.forget(opened, uid, key))

    def look_in(self) -> bool | None:
        """Open the file."""
        return self._visit(lambda _: True)

    def _now(self, opened: Opened) -> int:
        return self.clock() // 1000 + opened.offset

    def _visit(self, work: Callable[[Opened], _T]) -> _T | None:
        environment = self.environment
        opened = environment.enter(self.clock)
        if opened is None:
            return None
        try:
            return self._worked(opened, work)
        except _DAMAGED:
            environment.discard(opened)
            raise
        finally:
            environment.leave(opened)

    def _worked(self, opened: Opened, work: Callable[[Opened], _T]) -> _T:
        """What `work` answers, once the file is as large as it needs."""
        environment = self.environment
        while True:
            try:
                answer = work(opened)
            except lmdb.MapResizedError:
                environment.remap(opened)
            except lmdb.MapFullError:
                if not environment.grow(opened):
                    raise
            else:
                if opened.cramped:
                    environment.grow(opened)
                return answer
