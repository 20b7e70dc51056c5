"""Hits, checks and resets on the states in a file, inside a transaction.

A full file never forgets a state that counts: new keys share overflow buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from traffik.backends.lmdb.maintenance import maintain, remove, sweep
from traffik.backends.lmdb.overflow import LEVELS, Buckets, buckets_of, note_bucket, note_removed, overflow_in
from traffik.backends.lmdb.states import expiry_of, name_of, text_of
from traffik.backends.lmdb.unwritable import CrampedError, FullError
from traffik.backends.postings import SETTLE, post_each
from traffik.model.errors import BackendError
from traffik.strategies import probe

if TYPE_CHECKING:
    from traffik.backends.lmdb.environments import Environment
    from traffik.backends.lmdb.files import Transaction
    from traffik.backends.lmdb.states import Account
    from traffik.backends.postings import Posted, Posting
    from traffik.model.decisions import Decision
    from traffik.strategies import State

__all__ = ["LedgerEntry", "LedgerStep", "decide_entries", "forget_keys"]

LedgerEntry: TypeAlias = "tuple[Environment, Account, bytes, int, bool]"
"""A charge: its file, the account, the local key as bytes, the cost, and whether it only reads."""

_SPARE: Final = 64  # pages that stay free at least


def decide_entries(entries: Sequence[LedgerEntry], clock: Callable[[], int]) -> list[Decision]:
    """Decide charges, each by itself, in the transactions of their files.

    Raises FullError if a file has no room for a charge, and CrampedError if it has to grow first.
    """
    decisions = []
    for file, account, text, cost, read_only in entries:
        transaction = file.transaction
        if transaction is None and not read_only:
            raise _missing(file)
        if transaction is None:
            decision = _foresee(account, None, cost, clock() // 1000)
        elif read_only:
            value = transaction.lmdb.get(name_of(account.prefix, text))
            value = value or buckets_of(transaction, account.prefix, text).value
            decision = _foresee(account, value, cost, transaction.now)
        else:
            decision = _charge(transaction, account, text, cost)
        decisions.append(decision)
    return decisions


def forget_keys(transaction: Transaction, prefix: bytes, text: bytes | None) -> bool:
    """Forget a local key, given as bytes, or if None some of the keys with a prefix; True if there may be more."""
    if text is None:
        return remove(transaction, prefix)
    transaction.lmdb.delete(name_of(prefix, text))
    buckets = buckets_of(transaction, prefix, text)
    note_removed(transaction, sum(transaction.lmdb.delete(name) for name in buckets.names))
    return False


def _missing(file: Environment) -> BackendError:
    return BackendError(f"{str(file.path)!r} is missing, and this store makes no files: the application has to")


def _foresee(account: Account, value: bytes | None, cost: int, now: int) -> Decision:
    """The decision on a charge that only reads. With a cost of 0, it tells the quota left."""
    state = account.read(value)
    return account.kernel(state, cost, now)[0] if cost else probe(account.kernel, state, now)


def _charge(transaction: Transaction, account: Account, text: bytes, cost: int) -> Decision:
    name = name_of(account.prefix, text)
    value = transaction.lmdb.get(name)
    if value is None:
        return _charge_new(transaction, account, text, cost)
    decision, state, ttl = account.kernel(account.read(value), cost, transaction.now)
    if state is not None:
        transaction.lmdb.put(name, account.write(state, transaction.now + ttl))
        maintain(transaction)
    return decision


def _charge_new(transaction: Transaction, account: Account, text: bytes, cost: int) -> Decision:
    """Charge a key that has no state yet; it may have been counted in a bucket."""
    buckets = buckets_of(transaction, account.prefix, text)
    decision, state, ttl = account.kernel(account.read(buckets.value), cost, transaction.now)
    shared = buckets.value is not None
    if state is not None:
        shared = _put_new(transaction, account, text, account.write(state, transaction.now + ttl), buckets) or shared
    return decision._replace(degraded="overflow") if shared else decision


def _put_new(transaction: Transaction, account: Account, text: bytes, value: bytes, buckets: Buckets) -> bool:
    """Write the first value of a key, or a bucket if there is no room for one more; whether it is the bucket."""
    full = _is_full(transaction, account.max_keys)
    if full:
        _share(transaction, buckets, value)
    else:
        transaction.lmdb.put(name_of(account.prefix, text), value)
    maintain(transaction)
    return full


class LedgerStep:
    """The states of several keys in one step, inside the transactions of their files.

    Args:
        file_of: returns the file of a local key.
        write: whether the step may write.
    """

    def __init__(self, file_of: Callable[[bytes], Environment], write: bool) -> None:
        self._file_of = file_of
        self._write = write
        self.shared: set[tuple[str, str]] = set()
        """The uids and keys that are counted in a bucket."""

    def post(self, postings: Sequence[Posting], now: int) -> list[Posted]:
        """Carry out postings. Keys that a plan of another family counts by now are not settled."""
        asked = [each._replace(units=0) if self._is_of_others(each) else each for each in postings]
        return post_each(asked, now, self.fetch, self.keep)

    def _is_of_others(self, posting: Posting) -> bool:
        """Whether it settles a key whose state its plan cannot read, so that it would replace that."""
        account, text = posting.account, text_of(posting.key)
        transaction = self._transaction(text)
        if posting.kind != SETTLE or transaction is None:
            return False
        value = transaction.lmdb.get(name_of(account.prefix, text))
        return value is not None and expiry_of(value) > transaction.now and account.read(value) is None

    def fetch(self, account: Account, key: str) -> State | None:
        """The state of a local key; see `traffik.backends.postings.Fetch`."""
        text = text_of(key)
        transaction = self._transaction(text)
        if transaction is None:
            return None
        value = transaction.lmdb.get(name_of(account.prefix, text))
        if value is None:
            value = buckets_of(transaction, account.prefix, text).value
            if value is not None:
                self.shared.add((account.uid, key))
        return account.read(value)

    def keep(self, account: Account, key: str, state: State, ttl: int, now: int) -> None:
        """Keep a state; see `traffik.backends.postings.Keep`."""
        text = text_of(key)
        transaction = self._transaction(text)
        if transaction is None:
            return
        name, value = name_of(account.prefix, text), account.write(state, now + ttl)
        if transaction.lmdb.get(name) is not None:
            transaction.lmdb.put(name, value)
            maintain(transaction)
        elif _put_new(transaction, account, text, value, buckets_of(transaction, account.prefix, text)):
            self.shared.add((account.uid, key))

    def _transaction(self, text: bytes) -> Transaction | None:
        file = self._file_of(text)
        if file.transaction is None and self._write:
            raise _missing(file)
        return file.transaction


def _share(transaction: Transaction, buckets: Buckets, value: bytes) -> None:
    """Write the state of a key to a bucket. A finer bucket continues the coarser one that has counted the key."""
    fitting = (level for level in range(buckets.level) if _fits(transaction, LEVELS[level][1]))
    level = next(fitting, buckets.level)
    if level == len(buckets.names):
        raise FullError
    name = buckets.names[level]
    note_bucket(transaction, value, new=transaction.lmdb.get(name) is None)
    transaction.lmdb.put(name, value)


def _is_full(transaction: Transaction, max_keys: int) -> bool:
    """Whether there is no room for one more key, even after sweeping."""
    if _has_room(transaction, max_keys):
        return False
    sweep(transaction)
    return not _has_room(transaction, max_keys)


def _has_room(transaction: Transaction, max_keys: int) -> bool:
    until, buckets = overflow_in(transaction)
    records = 2 if until else 1  # the head, and the one about overflow
    keys = transaction.lmdb.stat()["entries"] - buckets - records
    return keys < max_keys and _fits(transaction, 1)


def _fits(transaction: Transaction, part: float) -> bool:
    """Whether this part of the reserve stays free for other writes.

    LMDB writes to free pages, and the pages that it replaces are free only some writes later.
    """
    file, found = transaction.file, transaction.lmdb.stat()
    used = found["leaf_pages"] + found["branch_pages"] + found["overflow_pages"]
    pages = file.size // found["psize"]
    if used + part * max(pages // 4, _SPARE) < pages:
        return True
    if file.size < file.limit:
        raise CrampedError(file)
    return False
