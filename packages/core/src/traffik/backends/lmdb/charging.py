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
from traffik.backends.lmdb.unkept import FullError
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.backends.base import Charge
    from traffik.backends.lmdb.environments import Opened
    from traffik.model.decisions import Decision
    from traffik.strategies import Plan, State

__all__ = ["EVERY", "Book", "Sitting", "foreseen"]

EVERY: Final = 16
"""Writes after which something is swept."""

_SPARE: Final = 64
"""Pages that are to be free at least."""

_MARK: Final = 1_000_000

_BUCKETS: Final = ((1024, 1 / 2), (32, 3 / 8), (1, 1 / 4))
"""How finely the overflow of one uid is divided, and the part of the reserve that is then left free at least.

A uid has its buckets to itself, for limits differ. So that many uids cannot use up what writes of keys that are there
need, new buckets get coarser as room gets scarce, and in the end there are no new ones.
"""


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
            FullError: there is no room for one of them, and nothing has been changed.
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
                value = self.shared(sitting, prefix, text)
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
        buckets, found, value = self._shared(sitting, prefix, text)
        decision, changed, ttl = plan.kernel(readable(value, tag), cost, now)
        if changed is None:
            return decision if value is None else decision._replace(degraded="overflow")
        state = written(plan, tag, now + ttl, changed)
        if not self._full(sitting):
            sitting.put(key_in(prefix, text), state)
            return decision if value is None else decision._replace(degraded="overflow")
        # A finer bucket goes on from the coarser one, in which the key may have been counted.
        at = next((at for at in range(found) if self._fits(sitting, _BUCKETS[at][1])), found)
        if at == len(buckets):
            raise FullError("there is no room for one more key, nor for one more bucket of keys: raise map_size")
        new = sitting.transaction.get(buckets[at]) is None
        sitting.put(buckets[at], state)
        note_overflow(sitting.transaction, lapse_of(state), int(new))
        return decision._replace(degraded="overflow")

    def shared(self, sitting: Sitting, prefix: bytes, text: bytes) -> bytes | None:
        """The state in the bucket of a key, if there is one that still counts."""
        return self._shared(sitting, prefix, text)[2]

    def _shared(self, sitting: Sitting, prefix: bytes, text: bytes) -> tuple[list[bytes], int, bytes | None]:
        """The buckets that may be a key's, the finest first; which of them counts it, and the state in that.

        If there is none, that is behind the last.
        """
        buckets = _buckets(prefix, text, sitting.opened.head.salt)
        if overflow_in(sitting.transaction)[0] > sitting.now:
            for at, bucket in enumerate(buckets):
                if (value := sitting.transaction.get(bucket)) is not None:
                    return buckets, at, value
        return buckets, len(buckets), None

    def _full(self, sitting: Sitting) -> bool:
        """Whether there is no room for one more key, even when some of those that have lapsed are swept."""
        if self._has_room(sitting):
            return False
        sweep(sitting.opened, sitting.transaction, sitting.now)
        return not self._has_room(sitting)

    def _has_room(self, sitting: Sitting) -> bool:
        until, buckets = overflow_in(sitting.transaction)
        records = 2 if until else 1  # the head, and the one about overflow
        if sitting.transaction.stat()["entries"] - buckets - records >= self._max_keys:
            return False
        return self._fits(sitting, 1)

    def _fits(self, sitting: Sitting, part: float) -> bool:
        """Whether so much of the reserve is free besides what is written next, or can be, since the file can grow."""
        opened, found = sitting.opened, sitting.transaction.stat()
        # What is written goes to pages that are free, and those that it replaces are free only some writes later.
        used = found["leaf_pages"] + found["branch_pages"] + found["overflow_pages"]
        if used + part * max(opened.pages // 4, _SPARE) < opened.pages:
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
            gone = sum(transaction.delete(bucket) for bucket in _buckets(prefix, text, opened.head.salt))
            if gone:
                note_overflow(transaction, 0, -gone)
            return False


def foreseen(charge: Charge, state: State | None, now: int) -> Decision:
    """What a charge that only reads is answered."""
    kernel = charge.plan.kernel
    return kernel(state, charge.cost, now)[0] if charge.cost else probe(kernel, state, now)


def _buckets(prefix: bytes, text: bytes, salt: bytes) -> list[bytes]:
    """The keys of the buckets of a key; they follow from a hash with a salt, so no client can aim."""
    hashed = int.from_bytes(blake2b(text, digest_size=8, key=salt).digest())
    buckets, first = [], 0
    for count, _ in _BUCKETS:
        buckets.append(prefix + BUCKET + (first + hashed % count).to_bytes(2))
        first += count
    return buckets
