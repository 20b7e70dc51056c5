"""How a file forgets: what has lapsed a few keys at a time, with the writes, and what it is told to.

A hand goes round over the keys; so a key costs no bookkeeping of its own, and no write pays for many.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from traffik.backends.lmdb.states import BUCKET, FIRST, PREFIX, lapse_of

if TYPE_CHECKING:
    from traffik.backends.lmdb.environments import Opened

__all__ = ["cut", "note_overflow", "overflow_in", "sweep"]

_LOOKED_AT: Final = 32
"""Keys that are looked at at a time: twice as many as have been written, so that most of them have not lapsed."""
_FORGOTTEN: Final = 500
"""Keys that are forgotten in one transaction."""

_OVERFLOW_KEY: Final = b"\x00o"
"""The key of the record that says until when there are states in buckets, µs, and in how many."""
_OVERFLOW: Final = Struct("=qI")


def sweep(opened: Opened, transaction: Any, now: int) -> None:
    """Look at the next few keys, and drop those that have lapsed."""
    buckets = 0
    with transaction.cursor() as cursor:
        there = cursor.set_range(opened.hand or FIRST)
        for _ in range(_LOOKED_AT):
            if not there:
                break
            if lapse_of(cursor.value()) <= now:
                buckets += cursor.key().startswith(BUCKET, PREFIX)
                cursor.delete()
                there = bool(cursor.key())
            else:
                there = cursor.next()
        opened.hand = cursor.key() if there else b""
    if buckets:
        note_overflow(transaction, 0, -buckets)


def cut(transaction: Any, prefix: bytes) -> bool:
    """Drop the first keys that begin with `prefix`; whether there may be more."""
    buckets = count = 0
    with transaction.cursor() as cursor:
        there = cursor.set_range(prefix)
        while there and count < _FORGOTTEN and cursor.key().startswith(prefix):
            buckets += cursor.key().startswith(BUCKET, PREFIX)
            cursor.delete()
            there = bool(cursor.key())
            count += 1
    if buckets:
        note_overflow(transaction, 0, -buckets)
    return count == _FORGOTTEN


def overflow_in(transaction: Any) -> tuple[int, int]:
    """Until when there are states in buckets, µs, and in how many; 0 twice if there never were."""
    value = transaction.get(_OVERFLOW_KEY)
    if value is None:
        return 0, 0
    until, buckets = _OVERFLOW.unpack(value)
    return until, buckets


def note_overflow(transaction: Any, until: int, more: int) -> None:
    """Note that there are states in buckets until some time at least, and in so many more, or fewer."""
    known, buckets = overflow_in(transaction)
    transaction.put(_OVERFLOW_KEY, _OVERFLOW.pack(max(until, known), max(0, buckets + more)))
