"""What is done in the file, in one transaction: decide charges and keep what that changes, sweep, and forget.

Whoever calls this is in the file alone. A transaction is kept whole or not at all, whatever happens to the process. A
full file forgets nothing that counts: keys beyond `max_keys`, or for which the map has no room, share overflow buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from traffik.backends.lmdb.clocks import HEAD_KEY
from traffik.backends.lmdb.states import FIRST, PREFIX, key_in, lapse_of, prefix_of, readable, tag_for, written
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.backends.base import Charge
    from traffik.backends.lmdb.environments import Opened
    from traffik.decisions import Decision
    from traffik.strategies import Plan

__all__ = ["EVERY", "Book"]

EVERY: Final = 16
"""Writes after which something is swept."""

_LOOKED_AT: Final = 32
"""Keys that are looked at then; twice as many as were written, so that what has lapsed is never the larger part."""
_FORGOTTEN: Final = 500
"""Keys that are forgotten in one transaction."""
_MARK: Final = 1_000_000
_BUCKETS: Final = 1024
_BUCKET: Final = b"\xff\x00"  # never in UTF-8
_OVERFLOW_KEY: Final = b"\x00o"
"""The key of the record that says until when there are states in buckets, µs, and in how many."""

_OVERFLOW: Final = Struct("=qI")


class Book:
    """What one store writes in a file.

    Args:
        namespace: its keys'.
        max_keys: keys in the file, above which new ones share buckets.
        durable: whether time is marked.
    """

    def __init__(self, namespace: str, max_keys: int, *, durable: bool) -> None:
        self.namespace = namespace
        self._max_keys = max_keys
        self.durable = durable
        self.prefix = lru_cache(maxsize=1024)(lambda uid: prefix_of(namespace, uid))
        self.tag = lru_cache(maxsize=1024)(tag_for)

    def apply(self, opened: Opened, charges: Sequence[Charge], now: int) -> list[Decision]:
        """Decide `charges`; a transaction that only reads if they all do.

        Raises:
            TypeError: a strategy's state cannot be stored; nothing is, then.
            lmdb.Error: the file is full or damaged.
        """
        writes = not all(charge.read_only for charge in charges)
        transaction = opened.begin(None, None, writes)
        try:
            decisions = [self._decide(opened, transaction, charge, now) for charge in charges]
            if writes:
                opened.writes += 1
                self.upkeep(opened, transaction, now)
                transaction.commit()
        finally:
            transaction.abort()  # which does nothing to one that has been kept
        return decisions

    def _decide(self, opened: Opened, transaction: Any, charge: Charge, now: int) -> Decision:
        uid, plan, key, cost, read_only = charge
        prefix, tag = self.prefix(uid), self.tag(plan)
        name = key_in(prefix, key)
        value = transaction.get(name)
        if read_only:
            if value is None:
                value = self._shared(opened, transaction, prefix, key, now)[1]
            state = readable(value, tag)
            return plan.kernel(state, cost, now)[0] if cost else probe(plan.kernel, state, now)
        if value is None:
            return self.arrive(opened, transaction, prefix, plan, key, cost, now)
        decision, changed, ttl = plan.kernel(readable(value, tag), cost, now)
        if changed is not None:
            transaction.put(name, written(plan, tag, now + ttl, changed))
        return decision

    def arrive(
        self, opened: Opened, transaction: Any, prefix: bytes, plan: Plan, key: str, cost: int, now: int
    ) -> Decision:
        """Charge a key that has no state of its own: it is new, or has been counted in a bucket."""
        tag = self.tag(plan)
        bucket, value = self._shared(opened, transaction, prefix, key, now)
        decision, changed, ttl = plan.kernel(readable(value, tag), cost, now)
        if changed is None:
            return decision if value is None else decision._replace(degraded="overflow")
        state = written(plan, tag, now + ttl, changed)
        if not self._full(opened, transaction, now):
            transaction.put(key_in(prefix, key), state)
            return decision if value is None else decision._replace(degraded="overflow")
        until, buckets = _overflow(transaction)
        buckets += transaction.get(bucket) is None
        transaction.put(bucket, state)
        transaction.put(_OVERFLOW_KEY, _OVERFLOW.pack(max(lapse_of(state), until), buckets))
        return decision._replace(degraded="overflow")

    def _shared(
        self, opened: Opened, transaction: Any, prefix: bytes, key: str, now: int
    ) -> tuple[bytes, bytes | None]:
        """The bucket of a key, and the state in it that still counts, if there is one."""
        hashed = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=opened.head.salt).digest()
        bucket = prefix + _BUCKET + (int.from_bytes(hashed) % _BUCKETS).to_bytes(2)
        return bucket, transaction.get(bucket) if _overflow(transaction)[0] > now else None

    def _full(self, opened: Opened, transaction: Any, now: int) -> bool:
        """Whether there is no room for one more key, even when some of those that have lapsed are swept."""
        if self._has_room(opened, transaction):
            return False
        sweep(opened, transaction, now)
        return not self._has_room(opened, transaction)

    def _has_room(self, opened: Opened, transaction: Any) -> bool:
        found = transaction.stat()
        until, buckets = _overflow(transaction)
        records = 2 if until else 1  # the head, and the one about overflow
        if found["entries"] - buckets - records >= self._max_keys:
            return False
        # What is written goes to pages that are free, and those that it replaces are free only some writes later.
        used = found["leaf_pages"] + found["branch_pages"] + found["overflow_pages"]
        if used * 4 < opened.pages * 3:
            return True
        opened.cramped = opened.size < opened.limit
        return opened.cramped

    def upkeep(self, opened: Opened, transaction: Any, now: int) -> None:
        """What every write does a little of: sweep, and mark the time."""
        if not opened.writes % EVERY:
            sweep(opened, transaction, now)
        if self.durable and now >= opened.mark_at:
            opened.mark_at = now + _MARK
            opened.head = opened.head._replace(mark=max(now, opened.head.mark))
            transaction.put(HEAD_KEY, opened.head.pack())

    def forget(self, opened: Opened, uid: str | None, key: str | None) -> bool:
        """Forget one key, or some of a uid's or of all; whether there may be more."""
        with opened.begin(None, None, True) as transaction:
            if uid is None or key is None:
                return _cut(transaction, prefix_of(self.namespace, uid)) == _FORGOTTEN
            prefix = prefix_of(self.namespace, uid)
            transaction.delete(key_in(prefix, key))
            transaction.delete(self._shared(opened, transaction, prefix, key, 0)[0])
            return False


def _overflow(transaction: Any) -> tuple[int, int]:
    """Until when there are states in buckets, and in how many."""
    value = transaction.get(_OVERFLOW_KEY)
    if value is None:
        return 0, 0
    until, buckets = _OVERFLOW.unpack(value)
    return until, buckets


def sweep(opened: Opened, transaction: Any, now: int) -> None:
    """Look at the next few keys, and drop those that have lapsed."""
    buckets = 0
    with transaction.cursor() as cursor:
        there = cursor.set_range(opened.hand or FIRST)
        for _ in range(_LOOKED_AT):
            if not there:
                break
            if lapse_of(cursor.value()) <= now:
                buckets += cursor.key()[PREFIX:].startswith(_BUCKET)
                cursor.delete()
                there = bool(cursor.key())
            else:
                there = cursor.next()
        opened.hand = cursor.key() if there else b""
    if buckets:
        until, count = _overflow(transaction)
        transaction.put(_OVERFLOW_KEY, _OVERFLOW.pack(until, max(0, count - buckets)))


def _cut(transaction: Any, prefix: bytes) -> int:
    """Drop the first keys that begin with `prefix`; how many."""
    with transaction.cursor() as cursor:
        count = 0
        there = cursor.set_range(prefix)
        while there and count < _FORGOTTEN and cursor.key().startswith(prefix):
            cursor.delete()
            there = bool(cursor.key())
            count += 1
        return count
