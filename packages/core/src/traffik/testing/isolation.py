"""For tests of an application: fresh quotas at the start of each test, and a clock that the test moves.

Both apply to every in-memory store of the process, since a test often cannot reach the store of the application. Stores
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
    """Forget the quota used in every in-memory store of this process, open or not.

    Afterwards, new throttles may have the uids of old ones and other rates, even if the old ones still exist.
    """
    for store in backend.stores():
        store.reset_sync()
    uids.forget_settled()
    with binding.lock:
        binding.notify_subscribers()  # every limit prepares its calls again


@contextmanager
def use_clock(clock: _Clock) -> Generator[_Clock, None, None]:
    """Within the context, in-memory stores use `clock`, also stores made in it.

    A store that was given a clock keeps it. Entering and leaving the context forgets all quota used, since
    its times are wrong on another clock.

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
    """The wall-clock time in nanoseconds, which freezegun and time-machine move."""
    return time.time_ns()  # looked up at each call, since freezegun replaces the function
