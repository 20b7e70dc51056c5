"""A circuit breaker: it stops calls to a store that does not answer, and tries the store again from time to time.

While it is closed, all calls go to the store. After a number of failures in a row it opens, and no call goes there.
After its recovery time one call, the probe, may go. If the probe succeeds, the breaker closes, else it stays open for
the same time again. (M. Nygard, "Release It!", 2007.) It reads no clock: times come as arguments, in seconds on any
clock that does not go back.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import RLock

from traffik.model.descriptions import describe

__all__ = ["Breaker", "Circuit"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """The settings of a circuit breaker.

    Args:
        failures: the number of calls in a row that fail before the breaker opens, at least 1.
        recovery: seconds until the store is tried again, more than 0.

    Raises:
        ValueError: either is out of its range.
    """

    failures: int = 5
    recovery: float = 1.0

    def __post_init__(self) -> None:
        if type(self.failures) is not int or self.failures < 1:
            raise ValueError(f"the failures of a breaker are an integer from 1, not {self.failures!r}")
        if isinstance(self.recovery, bool) or not isinstance(self.recovery, int | float) or not self.recovery > 0:
            raise ValueError(f"the recovery of a breaker is a number of seconds above 0, not {self.recovery!r}")


class Circuit:
    """The state of a breaker, for all threads.

    Attributes:
        closed: whether all calls may go to the store.
    """

    __slots__ = ("_failed", "_lock", "_retry_at", "breaker", "closed")

    def __init__(self, breaker: Breaker) -> None:
        if not isinstance(breaker, Breaker):
            raise TypeError(f"a breaker is a Breaker(failures=5, recovery=1.0), not {describe(breaker)}")
        self.breaker: Breaker = breaker
        self.closed: bool = True
        self._failed = 0
        self._retry_at = 0.0
        self._lock = RLock()  # a signal handler may hit while its thread holds it

    @property
    def well(self) -> bool:
        """Whether the breaker is closed and the last call succeeded."""
        return self.closed and not self._failed

    def admits(self, now: float) -> bool:
        """Whether a call may go to the store. While the breaker is open, one may after each recovery time."""
        if self.closed:
            return True
        with self._lock:
            if self.closed:
                return True
            if now < self._retry_at:
                return False
            # if the result of this probe is never reported, the next probe goes after the same time again
            self._retry_at = now + self.breaker.recovery
            return True

    def after_fork(self) -> None:
        """Make a new lock in a child process, since a thread of the parent may have held the old one."""
        self._lock = RLock()

    def wait(self, now: float) -> float:
        """Seconds until a call may go to the store."""
        return 0.0 if self.closed else max(0.0, self._retry_at - now)

    def succeeded(self) -> bool:
        """Note a call that succeeded. Returns whether that closes the breaker."""
        if self.closed and not self._failed:
            return False
        with self._lock:
            was_open, self.closed, self._failed = not self.closed, True, 0
            return was_open

    def failed(self, now: float) -> bool:
        """Note a call that failed. Returns whether that opens the breaker."""
        with self._lock:
            self._failed += 1
            if not self.closed:
                self._retry_at = now + self.breaker.recovery
                return False
            if self._failed < self.breaker.failures:
                return False
            self.closed = False
            self._retry_at = now + self.breaker.recovery
            return True
