"""A deny cache: it remembers refusals, so that a client that keeps sending refused hits does not load the store.

A key that was refused the cost c until T is refused every cost of at least c until T. A refusal is used for `staleness`
seconds at most, and then one hit asks the store again, so that a reset, a refund or a raised limit takes effect soon.
Apart from these, the cache refuses nothing that the store would admit. It reads no clock: times are arguments, in µs.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Final, NamedTuple

from traffik.model.decisions import Decision
from traffik.model.descriptions import describe

if TYPE_CHECKING:
    from traffik.strategies import Plan

__all__ = ["Denials", "DenyCache"]

_MARGIN: Final = 1_000
"""µs before its end at which a refusal is forgotten, since the clocks of this process and the store may drift apart."""


@dataclass(frozen=True, slots=True)
class DenyCache:
    """The settings of a deny cache.

    Args:
        max_keys: the most refusals it remembers, at least 1. The oldest is forgotten first.
        staleness: seconds after which the store is always asked again, more than 0.

    Raises:
        ValueError: either is out of its range.
    """

    max_keys: int = 10_000
    staleness: float = 1.0

    def __post_init__(self) -> None:
        if type(self.max_keys) is not int or self.max_keys < 1:
            raise ValueError(f"the max_keys of a deny cache are an integer from 1, not {self.max_keys!r}")
        if isinstance(self.staleness, bool) or not isinstance(self.staleness, int | float) or not self.staleness > 0:
            raise ValueError(f"the staleness of a deny cache is a number of seconds above 0, not {self.staleness!r}")


class _Denial(NamedTuple):
    plan: Plan
    cost: int
    at: int  # when it was asked for, which was not after it was decided
    until: int
    decision: Decision


class Denials:
    """The refusals in a deny cache, for all threads."""

    __slots__ = ("_known", "_lock", "_max_keys", "_staleness")

    def __init__(self, cache: DenyCache) -> None:
        if not isinstance(cache, DenyCache):
            raise TypeError(f"a deny cache is a DenyCache(), not {describe(cache)}")
        self._max_keys = cache.max_keys
        self._staleness = int(cache.staleness * 1_000_000)
        self._known: dict[str, _Denial] = {}
        self._lock = RLock()  # a signal handler may hit while its thread holds it

    def find(self, key: str, plan: Plan, cost: int, now: int) -> Decision | None:
        """The refusal that still applies to `cost`, with the rest of its wait; None if there is none."""
        known = self._known.get(key)
        if known is None:
            return None
        if now >= known.until or known.plan is not plan:
            return None
        if cost < known.cost:
            return None
        refusal = known.decision
        passed = now - known.at
        reset = max(1, refusal.reset_after - passed)
        if cost == known.cost:
            return refusal._replace(retry_after=max(1, refusal.retry_after - passed), reset_after=reset)
        # The wait of a larger cost is not known, but it ends at the latest when the whole quota is available.
        return refusal._replace(retry_after=reset, reset_after=reset, degraded="cached")

    def note(self, key: str, plan: Plan, cost: int, decision: Decision, asked: int) -> None:
        """Remember a refusal by the store, which was asked at `asked`."""
        lasts = min(decision.retry_after - _MARGIN, self._staleness)
        if lasts <= 0 or decision.never:
            return
        with self._lock:
            self._known.pop(key, None)  # so that it comes last
            if len(self._known) >= self._max_keys:
                del self._known[next(iter(self._known))]
            self._known[key] = _Denial(plan, cost, asked, asked + lasts, decision)

    def admitted(self, key: str) -> None:
        """Note that `key` was admitted a smaller cost: less quota is left, so the refused cost may wait longer."""
        if key in self._known:
            self.forget(key)

    def after_fork(self) -> None:
        """Make a new lock in a child process, since a thread of the parent may have held the old one."""
        self._lock = RLock()

    def forget(self, key: str | None = None) -> None:
        """Forget the refusal of one key, or of all."""
        with self._lock:
            if key is None:
                self._known.clear()
            else:
                self._known.pop(key, None)
