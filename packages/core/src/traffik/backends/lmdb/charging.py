"""What is done in the files, in one transaction of each: decide charges and keep what that changes, sweep, and forget.

Whoever calls this is in the files alone. A transaction is kept whole or not at all, whatever happens to the process. A
full file forgets nothing that counts: keys beyond what it may hold, or has room for, share overflow buckets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from traffik.backends.lmdb.clocks import HEAD_KEY
from traffik.backends.lmdb.states import BUCKET, key_in, lapse_of, prefix_of, readable, tag_for, text_of, written
from traffik.backends.lmdb.sweeping import cut, note_overflow, overflow_in, sweep
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.backends.base import Charge
    from traffik.backends.lmdb.environments import Opened
    from traffik.decisions import Decision
    from traffik.strategies import Plan, State

__all__ = ["EVERY", "Book", "Sitting", "foreseen"]

EVERY: Final = 16
"""Writes after which something is swept."""

_SPARE: Final = 64
"""Pages that are to be free at least."""

_MARK: Final = 1_000_000
_BUCKETS: Final = 1024


class Sitting:
    """One transaction in one file.

    Attributes:
        opened: the file.
        transaction: as LMDB has it.
        now: µs on the file's clock.
        wrote: whether anything has been changed.
    """

    __slots__ = ("now", "opened", "transaction", "wrote")

    def __init__(self, opened: Opened, transaction: Any, now: int) -> None:
        self.opened = opened
        self.transaction = transaction
        self.now = now
        self.wrote = False

    def put(self, name: bytes, value: bytes) -> None:
        """Keep a value."""
        self.transaction.put(name, value)
        self.wrote = True


class Book:
    """What one store writes.

    Args:
        namespace: its keys'.
        max_keys: keys in one file, above which new ones share buckets.
        durable: whether time is marked.
    """

    def __init__(self, namespace: str, max_keys: int, *, durable: bool) -> None:
        self.namespace = namespace
        self._max_keys = max_keys
        self.durable = durable
        self.prefix = lru_cache(maxsize=1024)(lambda uid: prefix_of(namespace, uid))
        self.tag = lru_cache(maxsize=1024)(tag_for)

    def apply(self, files: Mapping[int, tuple[Opened, int]], charges: Sequence[tuple[int, Charge]]) -> list[Decision]:
        """Decide `charges`; transactions only read if the charges all do.

        Args:
            files: those that are needed, by their numbers, each with the time on its clock.
            charges: each with the number of its file.

        Raises:
            TypeError: a strategy's state cannot be stored; nothing is, then.
            lmdb.Error: a file is full or damaged; nothing has been changed unless its last pages failed.
        """
        writes = not all(charge.read_only for _, charge in charges)
        sittings: dict[int, Sitting] = {}
        try:
            for number, (opened, now) in files.items():
                sittings[number] = Sitting(opened, opened.begin(None, None, writes), now)
            decisions = [self._decide(sittings[number], charge) for number, charge in charges]
            for sitting in sittings.values():
                if sitting.wrote:
                    self.upkeep(sitting)
                    sitting.transaction.commit()
        finally:
            for sitting in sittings.values():
                sitting.transaction.abort()  # which does nothing to one that has been kept
        return decisions

    def _decide(self, sitting: Sitting, charge: Charge) -> Decision:
        uid, plan, key, cost, read_only = charge
        prefix, tag, text, now = self.prefix(uid), self.tag(plan), text_of(key), sitting.now
        name = key_in(prefix, text)
        value = sitting.transaction.get(name)
        if read_only:
            if value is None:
                value = self.shared(sitting, prefix, text)[1]
            return foreseen(charge, readable(value, tag), now)
        if value is None:
            return self.arrive(sitting, plan, prefix, text, cost)
        decision, changed, ttl = plan.kernel(readable(value, tag), cost, now)
        if changed is not None:
            sitting.put(name, written(plan, tag, now + ttl, changed))
        return decision

    def arrive(self, sitting: Sitting, plan: Plan, prefix: bytes, text: bytes, cost: int) -> Decision:
        """Charge a key that has no state of its own: it is new, or has been counted in a bucket."""
        tag, now = self.tag(plan), sitting.now
        bucket, value = self.shared(sitting, prefix, text)
        decision, changed, ttl = plan.kernel(readable(value, tag), cost, now)
        if changed is None:
            return decision if value is None else decision._replace(degraded="overflow")
        state = written(plan, tag, now + ttl, changed)
        if not self._full(sitting):
            sitting.put(key_in(prefix, text), state)
            return decision if value is None else decision._replace(degraded="overflow")
        new = sitting.transaction.get(bucket) is None
        sitting.put(bucket, state)
        note_overflow(sitting.transaction, lapse_of(state), int(new))
        return decision._replace(degraded="overflow")

    def shared(self, sitting: Sitting, prefix: bytes, text: bytes) -> tuple[bytes, bytes | None]:
        """The bucket of a key, and the state in it that still counts, if there is one."""
        bucket = _bucket(prefix, text, sitting.opened.head.salt)
        counts = overflow_in(sitting.transaction)[0] > sitting.now
        return bucket, sitting.transaction.get(bucket) if counts else None

    def _full(self, sitting: Sitting) -> bool:
        """Whether there is no room for one more key, even when some of those that have lapsed are swept."""
        if self._has_room(sitting):
            return False
        sweep(sitting.opened, sitting.transaction, sitting.now)
        return not self._has_room(sitting)

    def _has_room(self, sitting: Sitting) -> bool:
        opened, found = sitting.opened, sitting.transaction.stat()
        until, buckets = overflow_in(sitting.transaction)
        records = 2 if until else 1  # the head, and the one about overflow
        if found["entries"] - buckets - records >= self._max_keys:
            return False
        # What is written goes to pages that are free, and those that it replaces are free only some writes later.
        used = found["leaf_pages"] + found["branch_pages"] + found["overflow_pages"]
        if used + max(opened.pages // 4, _SPARE) < opened.pages:
            return True
        opened.cramped = opened.size < opened.limit
        return opened.cramped

    def upkeep(self, sitting: Sitting) -> None:
        """What every write does a little of: sweep, and mark the time."""
        opened, now = sitting.opened, sitting.now
        opened.writes += 1
        if not opened.writes % EVERY:
            sweep(opened, sitting.transaction, now)
        if self.durable and now >= opened.mark_at:
            opened.mark_at = now + _MARK
            opened.head = opened.head._replace(mark=max(now, opened.head.mark))
            sitting.put(HEAD_KEY, opened.head.pack())

    def forget(self, opened: Opened, uid: str | None, key: str | None) -> bool:
        """Forget one key, or some of a uid's or of all; whether there may be more."""
        prefix = prefix_of(self.namespace, uid)
        with opened.begin(None, None, True) as transaction:
            if key is None:
                return cut(transaction, prefix)
            text = text_of(key)
            transaction.delete(key_in(prefix, text))
            if transaction.delete(_bucket(prefix, text, opened.head.salt)):
                note_overflow(transaction, 0, -1)
            return False


def foreseen(charge: Charge, state: State | None, now: int) -> Decision:
    """What a charge that only reads is answered."""
    kernel = charge.plan.kernel
    return kernel(state, charge.cost, now)[0] if charge.cost else probe(kernel, state, now)


def _bucket(prefix: bytes, text: bytes, salt: bytes) -> bytes:
    """The key of the bucket of a key; it follows from a hash with a salt, so no client can aim."""
    hashed = int.from_bytes(blake2b(text, digest_size=8, key=salt).digest())
    return prefix + BUCKET + (hashed % _BUCKETS).to_bytes(2)
