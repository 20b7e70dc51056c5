"""Tests of an application: whole quota at the start of each, and a clock that the test moves.

Both reach every store in memory of the process, since a test often has no hand on the store of the application. Stores
in Redis and LMDB are left alone: give each test a namespace there, or reset the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from traffik.backends import binding
from traffik.backends.inmemory import backend
from traffik.limits import uids

__all__ = ["fresh_quota", "use_clock", "wall_clock"]

_Clock = TypeVar("_Clock", bound=Callable[[], int])


def fresh_quota() -> None:
    """Forget the quota used in every store in memory of this process, open or not.

    After that, throttles with the uids of old ones may have other rates, even if something still holds the old ones.
    """
    for store in backend.stores():
        store.reset_sync()
    uids.forget_settled()
    with binding.lock:
        binding.notify_subscribers()  # every limit prepares its calls again


@contextmanager
def use_clock(clock: _Clock) -> Generator[_Clock, None, None]:
    """While the context lasts, stores in memory follow `clock`, also those made in it.

    A store that was given a clock of its own keeps it. All quota is forgotten at both ends, since a quota means nothing
    on another clock.

    Args:
        clock: returns nanoseconds: a `VirtualClock`, or `wall_clock`.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(clock):
        raise TypeError(f"a clock is a function that returns nanoseconds, such as VirtualClock(), not {clock!r}")
    before = backend.set_default_clock(clock)
    fresh_quota()  # which has limits prepare their calls with the new clock
    try:
        yield clock
    finally:
        backend.set_default_clock(before)
        fresh_quota()


def wall_clock() -> int:
    """The time of the wall, in nanoseconds: the time that freezegun and time-machine move."""
    return time.time_ns()  # looked up at each call, since freezegun replaces the function
