"""Overflow buckets: states that several keys share when a file has no room for one each.

Each uid has its own buckets, since limits differ. As room gets scarce, new keys are divided among fewer buckets, so
even many uids cannot use up the room that writes to existing keys need.
"""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from traffik.backends.lmdb.states import BUCKET, PREFIX, expiry_of

if TYPE_CHECKING:
    from traffik.backends.lmdb.files import Transaction

__all__ = ["LEVELS", "Buckets", "buckets_of", "is_bucket", "note_bucket", "note_removed", "overflow_in"]

LEVELS: Final = ((1024, 1 / 2), (32, 3 / 8), (1, 1 / 4))
"""The number of buckets at each level, and the part of the reserve that stays free when one of them is made."""

_KEY: Final = b"\x00o"  # the key of the record about overflow: the latest expiry of a bucket, and the number of buckets
_RECORD: Final = Struct("=qI")


class Buckets(NamedTuple):
    """The bucket for a key at each level, the level at which it is counted (or that behind the last), and the state."""

    names: list[bytes]
    level: int
    value: bytes | None


def buckets_of(transaction: Transaction, prefix: bytes, text: bytes) -> Buckets:
    """The buckets for a local key, given as bytes. They depend on a salted hash, so a client cannot choose one."""
    hashed = int.from_bytes(blake2b(text, digest_size=8, key=transaction.file.head.salt).digest())
    names, first = [], 0
    for count, _ in LEVELS:
        names.append(prefix + BUCKET + (first + hashed % count).to_bytes(2))
        first += count
    if overflow_in(transaction)[0] > transaction.now:
        for level, name in enumerate(names):
            if (value := transaction.lmdb.get(name)) is not None:
                return Buckets(names, level, value)
    return Buckets(names, len(names), None)


def is_bucket(name: bytes) -> bool:
    """Whether a name is that of a bucket."""
    return name.startswith(BUCKET, PREFIX)


def overflow_in(transaction: Transaction) -> tuple[int, int]:
    """The latest expiry of a bucket, in µs, and the number of buckets; 0 and 0 if there never was one."""
    value = transaction.lmdb.get(_KEY)
    if value is None:
        return 0, 0
    until, count = _RECORD.unpack(value)
    return until, count


def note_bucket(transaction: Transaction, value: bytes, *, new: bool) -> None:
    """Note that a bucket has got a value."""
    until, count = overflow_in(transaction)
    transaction.lmdb.put(_KEY, _RECORD.pack(max(until, expiry_of(value)), count + new))


def note_removed(transaction: Transaction, removed: int) -> None:
    """Note that so many buckets have been removed."""
    if removed:
        until, count = overflow_in(transaction)
        transaction.lmdb.put(_KEY, _RECORD.pack(until, max(0, count - removed)))
