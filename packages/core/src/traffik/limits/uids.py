"""One uid, one limit: two different ones under one uid would count in each other's quota without anybody noticing.

The same definition again is fine (a reloaded module, a factory, a test); it counts in the same quota, as it should.
"""

from __future__ import annotations

import gc
import os
import sys
from threading import RLock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from traffik.model.errors import DuplicateUidError

if TYPE_CHECKING:
    from types import FrameType

    from traffik.limits.limit import Limit

__all__ = ["claim", "held", "holder", "place_of_caller"]

_ROOM: Final = 1_024
"""Uids that are kept without looking who still holds them; then twice as many as were left."""

_lock = RLock()
_claimed: dict[str, WeakSet[Limit]] = {}
_room = _ROOM

if hasattr(os, "register_at_fork"):  # A child is not to inherit a lock that nobody in it will give back.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def claim(limit: Limit) -> None:
    """Let `limit` have its uid, for as long as somebody holds it.

    Raises:
        DuplicateUidError: another kind of limit has it, on a store they may share; names the places of both.
    """
    with _lock:
        if _rival(limit) is not None:
            gc.collect()  # It may be garbage that is only waiting to be collected.
        rival = _rival(limit)
        if rival is not None:
            raise DuplicateUidError(
                f"the uid {limit.uid!r} has two different definitions:\n"
                f"  {rival!r} at {rival.place}\n  {limit!r} at {limit.place}\n"
                f"give one of them another uid, or use one object in both places"
            )
        if len(_claimed) >= _room:
            _forget_those_that_nobody_holds()
        _claimed.setdefault(limit.uid, WeakSet()).add(limit)


def holder(uid: str) -> Limit | None:
    """A limit that has the uid; None if nobody holds one."""
    with _lock:
        return next(iter(_claimed.get(uid, ())), None)


def held() -> list[Limit]:
    """Every limit that somebody holds."""
    with _lock:
        return [limit for limits in _claimed.values() for limit in limits]


def place_of_caller() -> str:
    """The file and line, outside this library, that is making a limit."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("traffik"):
        frame = frame.f_back
    return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _forget_those_that_nobody_holds() -> None:
    """A program may make a limit for each of its clients, and let go of it again."""
    global _room  # noqa: PLW0603 - goes with the table
    for uid in [uid for uid, limits in _claimed.items() if not limits]:
        del _claimed[uid]
    _room = max(_ROOM, 2 * len(_claimed))


def _rival(limit: Limit) -> Limit | None:
    for other in _claimed.get(limit.uid, ()):
        apart = None not in (other.backend, limit.backend) and other.backend is not limit.backend
        if not apart and other.definition != limit.definition:
            return other
    return None
