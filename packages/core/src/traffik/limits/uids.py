"""One uid, one definition in each store: two different limits under one uid would count in each other's quota.

Two different limits may have one uid as long as they count in different stores: applications made by a factory, each
with its own store, or the tests of one test run. So the stores decide. A limit that names its store is checked when it
is made. Any other is checked when it first counts in a store, because its application may bring one.

The same definition again is fine (a module that is loaded again, a factory). It counts in the same quota.
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
"""A `traffik.limits.limit.Limit`, which is built on this module and so cannot be named in it."""

_ROOM: Final = 1_024
"""Uids that are kept without looking who still holds them; then twice as many as were left."""

_lock = RLock()
_claimed: dict[str, WeakSet[_Limit]] = {}
_survivors: WeakSet[_Limit] = WeakSet()
"""Rivals that are in use: a garbage collection has left them alone."""

_looked_for: set[str] = set()
"""Uids of which two definitions have been looked for in different places."""

_room = _ROOM

if hasattr(os, "register_at_fork"):  # A child is not to inherit a lock that nobody in it will give back.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def claim(limit: _Limit) -> None:
    """Register a new limit under its uid, for as long as it is in use.

    Raises:
        DuplicateUidError: it names its store, and a limit with this uid and another definition counts there.
    """
    with _lock:
        if limit.backend is not None:
            settle(limit, limit.backend)
        if len(_claimed) >= _room:
            _forget_those_that_nobody_holds()
        _share(limit)
    if limit.shares_uid:
        _contest(limit)
        _look_for_mistakes(limit)


def _share(limit: _Limit) -> None:
    """Add `limit` to those of its uid. No frame may hold one of them while garbage is looked for."""
    known = _claimed.setdefault(limit.uid, WeakSet())
    limit.shares_uid = bool(known)
    for other in known:
        other.shares_uid = True
    known.add(limit)


def _contest(limit: _Limit) -> None:
    """Have each store checked before limits that differ count in it."""
    # Without the lock of this module: whoever holds the lock of the stores may wait for it.
    others = rivals(limit)
    for each in (limit, *others) if others else ():
        each.contest()


def _look_for_mistakes(limit: _Limit) -> None:
    """Notice two definitions in different places. A factory makes its limits in one place."""
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
        DuplicateUidError: one of those counts there already; the message names the places of both.
    """
    with _lock:
        rival = _rival(limit, store)
        if rival is not None and rival not in _survivors:
            del rival
            gc.collect()  # It may be garbage that waits to be collected.
            rival = _rival(limit, store)
        if rival is not None:
            _survivors.add(rival)
            raise DuplicateUidError(
                f"the uid {limit.uid!r} has two different definitions in one store, {store!r}:\n"
                f"  {rival!r} at {rival.place}\n  {limit!r} at {limit.place}\n"
                f"give one of them another uid or a store of its own, or use one object in both places"
            )
        limit.settled.add(store)


def forget_settled() -> None:
    """Forget which limit counts in which store, for tests: the next one to count in a store has it."""
    for limit in held():
        limit.settled = set()


def rivals(limit: _Limit) -> list[_Limit]:
    """The limits of its uid that differ from it and may come to count in one store with it."""
    with _lock:
        known = [other for other in _claimed.get(limit.uid, ()) if other is not limit]
    return [
        other
        for other in known
        if (None in (other.backend, limit.backend) or other.backend is limit.backend)
        and other.definition != limit.definition
    ]


def holder(uid: str) -> _Limit | None:
    """A limit that has the uid; None if nobody holds one."""
    with _lock:
        return next(iter(_claimed.get(uid, ())), None)


def held() -> list[_Limit]:
    """Every limit that somebody holds."""
    with _lock:
        return [limit for limits in _claimed.values() for limit in limits]


def _forget_those_that_nobody_holds() -> None:
    """A program may make a limit for each of its clients, and let go of it again."""
    global _room  # noqa: PLW0603 - goes with the table
    for uid in [uid for uid, limits in _claimed.items() if not limits]:
        del _claimed[uid]
    _room = max(_ROOM, 2 * len(_claimed))


def _rival(limit: _Limit, store: Backend) -> _Limit | None:
    """One of those that counts in `store` already."""
    return next((other for other in rivals(limit) if store in other.settled), None)
