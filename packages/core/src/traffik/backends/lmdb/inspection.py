"""Reads files for operators: the state of one key, and the list of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from traffik.backends.inspection import StoredState
from traffik.backends.lmdb.overflow import buckets_of
from traffik.backends.lmdb.states import HEAD, expiry_of, key_of, name_of

if TYPE_CHECKING:
    from traffik.backends.lmdb.files import Transaction

__all__ = ["NOTHING", "read_keys", "read_state"]

NOTHING: Final = StoredState(None, None)

_PAGE: Final = 200  # keys that are read in one transaction, so that hits are not held up


def read_state(transaction: Transaction, prefix: bytes, text: bytes) -> StoredState:
    """The state of a local key, given as bytes, or of its bucket."""
    value = transaction.lmdb.get(name_of(prefix, text)) or buckets_of(transaction, prefix, text).value
    left = 0 if value is None else expiry_of(value) - transaction.now
    return NOTHING if value is None or left <= 0 else StoredState(value[HEAD.size :], left)


def read_keys(transaction: Transaction, prefix: bytes, after: bytes, keys: list[str | None]) -> bytes | None:
    """Append the next keys with a prefix whose state still counts to `keys`; None for one without a name.

    Returns the name after which to go on; None if there are no more.
    """
    with transaction.lmdb.cursor() as cursor:
        found = cursor.set_range(after or prefix)
        if found and cursor.key() == after:
            found = cursor.next()
        for _ in range(_PAGE):
            if not found or not cursor.key().startswith(prefix):
                return None
            after = cursor.key()
            if expiry_of(cursor.value()) > transaction.now:
                keys.append(key_of(after))
            found = cursor.next()
    return after
