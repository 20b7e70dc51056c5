"""The upkeep of a file: remove expired states a few at a time, remove states that are reset, and mark the time.

Sweeping goes over all keys in turn, a few with each write. So a key needs no bookkeeping, and no write takes long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from traffik.backends.lmdb.clocks import HEAD_KEY
from traffik.backends.lmdb.overflow import is_bucket, note_removed
from traffik.backends.lmdb.states import FIRST, expiry_of

if TYPE_CHECKING:
    from traffik.backends.lmdb.files import Transaction

__all__ = ["maintain", "remove", "sweep"]

_EVERY: Final = 16  # writes between two sweeps
_SWEPT: Final = 2 * _EVERY
"""Keys that one sweep looks at: twice as many as were written since the last, so that most keys have not expired."""

_REMOVED: Final = 500  # keys that are removed in one transaction
_MARK: Final = 1_000_000  # µs between two marks of the time in a durable file


def maintain(transaction: Transaction) -> None:
    """The upkeep that each write does."""
    file = transaction.file
    file.writes += 1
    if not file.writes % _EVERY:
        sweep(transaction)
    if file.durable and transaction.now >= file.head.mark + _MARK:
        file.head = file.head._replace(mark=transaction.now)
        transaction.lmdb.put(HEAD_KEY, file.head.pack())


def sweep(transaction: Transaction) -> None:
    """Look at the next keys, and remove those that have expired."""
    file, buckets = transaction.file, 0
    with transaction.lmdb.cursor() as cursor:
        found = cursor.set_range(file.swept_to or FIRST)
        for _ in range(_SWEPT):
            if not found:
                break
            if expiry_of(cursor.value()) <= transaction.now:
                buckets += is_bucket(cursor.key())
                cursor.delete()
                found = bool(cursor.key())
            else:
                found = cursor.next()
        file.swept_to = cursor.key() if found else b""
    note_removed(transaction, buckets)


def remove(transaction: Transaction, prefix: bytes) -> bool:
    """Remove the first keys that begin with `prefix`; True if there may be more."""
    buckets = count = 0
    with transaction.lmdb.cursor() as cursor:
        found = cursor.set_range(prefix)
        while found and count < _REMOVED and cursor.key().startswith(prefix):
            buckets += is_bucket(cursor.key())
            cursor.delete()
            found = bool(cursor.key())
            count += 1
    note_removed(transaction, buckets)
    return count == _REMOVED
