"""Keeps uids unique: in one store, two different limits with the same uid would share a quota by mistake.

Different limits may have the same uid if they count in different stores, for example in applications made by a factory,
each with its own store, or in the tests of one test run. A limit with a `backend` is checked when it is made. Any other
limit is checked when it first counts in a store, since the store may come from its application.

Two limits with the same uid and the same definition are allowed (a reloaded module, a factory). They share their quota.
"""

from __future__ import annotations

import gc
import os
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from weakref import WeakSet

from traffik.model.errors import DuplicateUidError
from traffik.notices import misconfiguration

if TYPE_CHECKING:
    from traffik.backends.base import Backend

__all__ = ["claim", "forget_settled", "held", "holder", "rivals", "settle"]

_Limit: TypeAlias = Any
"""A `traffik.limits.limit.Limit`. Its module imports this one, so it cannot be imported here."""

_ROOM: Final = 1_024
"""How many uids are registered before those of deleted limits are removed. Later, twice as many as remained."""

_lock = RLock()
_claimed: dict[str, WeakSet[_Limit]] = {}
_survivors: WeakSet[_Limit] = WeakSet()
"""Rivals that are in use, since a garbage collection did not delete them."""

_looked_for: set[str] = set()
"""Uids that have been checked for definitions in different places."""

_room = _ROOM

if hasattr(os, "register_at_fork"):  # a child must not inherit a lock that one of the parent's threads holds
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def claim(limit: _Limit) -> None:
    """Register a new limit under its uid, until it is deleted.

    Raises:
        DuplicateUidError: it has a `backend`, and a limit with this uid and another definition counts there.
    """
    with _lock:
        if limit.backend is not None:
            settle(limit, limit.backend)
        if len(_claimed) >= _room:
            _forget_deleted()
        _share(limit)
    if limit.shares_uid:
        _contest(limit)
        _look_for_mistakes(limit)


def _share(limit: _Limit) -> None:
    """Register `limit`. A separate function, so that no variable keeps `other` alive in a later `gc.collect`."""
    known = _claimed.setdefault(limit.uid, WeakSet())
    limit.shares_uid = bool(known)
    for other in known:
        other.shares_uid = True
    known.add(limit)


def _contest(limit: _Limit) -> None:
    """Let limits with the same uid and different definitions check each store before they count in it."""
    # Without the lock of this module: a thread that holds the lock of the stores may be waiting for it.
    others = rivals(limit)
    for each in (limit, *others) if others else ():
        each.contest()


def _look_for_mistakes(limit: _Limit) -> None:
    """Warn if limits with one uid are defined in different places. A factory makes its limits in one place."""
    if limit.uid in _looked_for or all(other.place == limit.place for other in rivals(limit)):
        return
    if len(_looked_for) >= _ROOM:
        _looked_for.clear()
    _looked_for.add(limit.uid)
    gc.collect()
    places = {other.place for other in rivals(limit)} - {limit.place}
    if places:
        misconfiguration.defined_twice(limit.uid, places, limit.place)


def settle(limit: _Limit, store: Backend) -> None:
    """Let `limit` count in `store`, and keep limits with the same uid and another definition out of it.

    Raises:
        DuplicateUidError: such a limit already counts there. The message names where both are made.
    """
    with _lock:
        rival = _rival(limit, store)
        if rival is not None and rival not in _survivors:
            del rival
            gc.collect()  # it may be garbage that has not been collected yet
            rival = _rival(limit, store)
        if rival is not None:
            _survivors.add(rival)
            raise DuplicateUidError(
                f"the uid {limit.uid!r} has two different definitions in one store, {store!r}:\n"
                f"  {rival!r} at {rival.place}\n  {limit!r} at {limit.place}\n"
                f"give one of them another uid or its own store, or use one object in both places"
            )
        limit.settled.add(store)


def forget_settled() -> None:
    """Forget which limit counts in which store, for tests. The next limit to count in a store claims it."""
    for limit in held():
        limit.settled = set()


def rivals(limit: _Limit) -> list[_Limit]:
    """The limits with the same uid and another definition that may count in the same store."""
    with _lock:
        known = [other for other in _claimed.get(limit.uid, ()) if other is not limit]
    return [
        other
        for other in known
        if (None in (other.backend, limit.backend) or other.backend is limit.backend)
        and other.definition != limit.definition
    ]


def holder(uid: str) -> _Limit | None:
    """A limit with this uid; None if there is none."""
    with _lock:
        return next(iter(_claimed.get(uid, ())), None)


def held() -> list[_Limit]:
    """All limits that have not been deleted."""
    with _lock:
        return [limit for limits in _claimed.values() for limit in limits]


def _forget_deleted() -> None:
    """Remove the uids of deleted limits, since a program may make a limit for each client and delete it again."""
    global _room  # noqa: PLW0603 - changes with the table
    for uid in [uid for uid, limits in _claimed.items() if not limits]:
        del _claimed[uid]
    _room = max(_ROOM, 2 * len(_claimed))


def _rival(limit: _Limit, store: Backend) -> _Limit | None:
    """A rival of `limit` that already counts in `store`."""
    return next((other for other in rivals(limit) if store in other.settled), None)
