"""What people who look after a store may see of its files: the state of one key, and which keys there are.

Reads only, in visits of their own, each as short as a write that sweeps, so that hits have their turns between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from traffik.backends.inspection import StoredState
from traffik.backends.lmdb.charging import Sitting
from traffik.backends.lmdb.states import HEAD, PREFIX, key_in, key_of, lapse_of, text_of

if TYPE_CHECKING:
    from traffik.backends.lmdb.environments import Opened
    from traffik.backends.lmdb.visits import Visitor

__all__ = ["Page", "held_in", "page_of"]

_LOOKED_AT: Final = 200
"""Keys that are looked at in one visit."""


class Page(NamedTuple):
    """Some of the keys in a file, in the order of the file.

    Attributes:
        keys: local keys whose state still counts.
        unnamed: how many such states stand under a hash, or in a bucket.
        after: what to go on behind; None if that was the last page.
    """

    keys: list[str]
    unnamed: int
    after: bytes | None


def held_in(visitor: Visitor, uid: str, key: str) -> StoredState | None:
    """What is held for a local key; None if its file is busy."""
    (number,) = visitor.numbers(key)
    prefix, text = visitor.book.prefix(uid), text_of(key)

    def work(files: dict[int, Opened]) -> StoredState:
        if number not in files:
            return StoredState(None, None)
        opened = files[number]
        now = visitor.clock() // 1000 + opened.offset
        with opened.begin() as transaction:
            value = transaction.get(key_in(prefix, text))
            if value is None:
                value = visitor.book.shared(Sitting(opened, transaction, now), prefix, text)
        left = 0 if value is None else lapse_of(value) - now
        return StoredState(None, None) if value is None or left <= 0 else StoredState(value[HEAD.size :], left)

    return visitor.visit((number,), work)


def page_of(visitor: Visitor, number: int, uid: str, after: bytes) -> Page | None:
    """The next keys of a throttle in one file, behind what a page before says; None if the file is busy."""
    prefix = visitor.book.prefix(uid)

    def work(files: dict[int, Opened]) -> Page:
        if number not in files:
            return Page([], 0, None)
        now = visitor.clock() // 1000 + files[number].offset
        return _read(files[number], prefix, after, now)

    return visitor.visit((number,), work)


def _read(opened: Opened, prefix: bytes, after: bytes, now: int) -> Page:
    keys: list[str] = []
    unnamed = 0
    name = after
    with opened.begin() as transaction, transaction.cursor() as cursor:
        there = cursor.set_range(after or prefix)
        if there and cursor.key() == after:
            there = cursor.next()
        for _ in range(_LOOKED_AT):
            if not there or not cursor.key().startswith(prefix):
                return Page(keys, unnamed, None)
            name = cursor.key()
            if lapse_of(cursor.value()) > now:
                key = key_of(name[PREFIX:])
                if key is None:
                    unnamed += 1
                else:
                    keys.append(key)
            there = cursor.next()
    return Page(keys, unnamed, name)
