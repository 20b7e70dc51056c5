"""A deny cache: refusals remembered, so that a client that floods a key it is refused on does not reach the store.

A key that was refused a cost c until T is refused every cost from c on until T. So that a reset, a refund or a raised
limit is seen soon, a refusal counts for `staleness` seconds at most; then one hit asks the store again. Never refuses
what the store would have admitted but for those. It reads no clock: times come as arguments, in µs.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Final, NamedTuple

from traffik.model.decisions import Decision

if TYPE_CHECKING:
    from traffik.strategies import Plan

__all__ = ["Denials", "DenyCache"]

_MARGIN: Final = 1_000
"""µs before its end at which a refusal is forgotten: our clock and the store's may drift apart by that much."""


@dataclass(frozen=True, slots=True)
class DenyCache:
    """What a deny cache may hold.

    Args:
        max_keys: refusals remembered at once, at least 1; the oldest goes first.
        staleness: seconds after which the store is asked again in any case, more than 0.

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
    """A deny cache at work, for all threads."""

    __slots__ = ("_known", "_lock", "_max_keys", "_staleness")

    def __init__(self, cache: DenyCache) -> None:
        self._max_keys = cache.max_keys
        self._staleness = int(cache.staleness * 1_000_000)
        self._known: dict[str, _Denial] = {}
        self._lock = RLock()  # a signal handler may hit while its thread holds it

    def find(self, key: str, plan: Plan, cost: int, now: int) -> Decision | None:
        """The refusal that still holds for `cost`, with what is left of its wait; None if there is none."""
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
        # How long a larger cost waits is not known, but with a quota that is whole again it waits no more.
        return refusal._replace(retry_after=reset, reset_after=reset, degraded="cached")

    def note(self, key: str, plan: Plan, cost: int, decision: Decision, asked: int) -> None:
        """Remember a refusal that the store was asked for at `asked`."""
        lasts = min(decision.retry_after - _MARGIN, self._staleness)
        if lasts <= 0 or decision.never:
            return
        with self._lock:
            self._known.pop(key, None)  # so that it comes last
            if len(self._known) >= self._max_keys:
                del self._known[next(iter(self._known))]
            self._known[key] = _Denial(plan, cost, asked, asked + lasts, decision)

    def admitted(self, key: str) -> None:
        """Take note that `key` was admitted a smaller cost: less is left, and what was refused may wait longer."""
        if key in self._known:
            self.forget(key)

    def after_fork(self) -> None:
        """Have a lock of this process, since another thread of the parent may have held the one there was."""
        self._lock = RLock()

    def forget(self, key: str | None = None) -> None:
        """Forget the refusal of one key, or of all."""
        with self._lock:
            if key is None:
                self._known.clear()
            else:
                self._known.pop(key, None)
