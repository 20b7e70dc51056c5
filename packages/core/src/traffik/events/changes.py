"""Changes of rates that reach all processes, and the listeners that get an event for each."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from inspect import iscoroutinefunction
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from traffik.events.delivery import Delivery
from traffik.model.descriptions import describe
from traffik.model.keys import check_pattern

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["ChangeListener", "ChangeSubscription", "RateChange", "publish_change", "subscribe_changes"]

_CAPACITY: Final = 1_024
"""Events that may wait for a listener."""

_TIMEOUT: Final = 1.0
"""Seconds that the end of a subscription waits for the events that are still queued."""


class RateChange(NamedTuple):
    """A change of the rate of one limit, in all processes that count in one store.

    Attributes:
        uid: of the limit.
        version: the number of the change in its store, from 1. Of two changes, the one with the higher number counts.
        rate: the new rate, as text; None if the limit returns to the rate that the application gives it.
        before: the previous rate, as text; None if the process that made the change did not know it.
        by: who made the change, as text; empty if they did not say.
        reason: why, as text; empty if they did not say.
        when: µs since 1970, by the clock of the process that made it.
    """

    uid: str
    version: int
    rate: str | None
    before: str | None = None
    by: str = ""
    reason: str = ""
    when: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The change as plain values, for JSON and structured logs."""
        fields = self._asdict()
        fields["when_us"] = fields.pop("when")
        return fields


ChangeListener: TypeAlias = Callable[[RateChange], object]
"""A function that takes a change, sync or async."""


class ChangeSubscription:
    """A listener that gets changes; made by `subscribe_changes`. Used with ``with``, it ends with the block.

    Args:
        listener: the function.
        pattern: of the uids whose changes it gets.
    """

    def __init__(self, listener: ChangeListener, pattern: str) -> None:
        self.listener = listener
        self.pattern = pattern
        awaits = iscoroutinefunction(listener) or iscoroutinefunction(type(listener).__call__)
        self._delivery: Delivery[RateChange] = Delivery(describe(listener), listener, _CAPACITY, awaits=awaits)

    def take(self, change: RateChange) -> None:
        """Queue a change for the listener, if its uid matches. Never waits."""
        if fnmatchcase(change.uid, self.pattern):
            self._delivery.put(change)

    def flush(self, timeout: float = _TIMEOUT) -> bool:
        """Wait until the listener has taken the changes so far, at most `timeout` seconds; whether it has."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float = _TIMEOUT) -> bool:
        """End the subscription. Waits up to `timeout` seconds for the changes in the queue; whether all were taken."""
        with _lock:
            if self in _subscriptions:
                _subscriptions.remove(self)
        return self._delivery.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_lock: Final = RLock()
_subscriptions: Final[list[ChangeSubscription]] = []


def subscribe_changes(listener: ChangeListener, *, limit: str = "*") -> ChangeSubscription:
    """Call `listener` with a `RateChange` when this process follows a change that was made for all processes.

    The listener runs in its own thread. `RateChange.before` is the rate by which this process has counted.

    Args:
        listener: a function of a `RateChange`. An async one runs in an event loop of that thread.
        limit: a pattern of uids, as for `traffik.subscribe`.

    Raises:
        TypeError: the listener cannot be called, or `limit` is not text.
        ValueError: `limit` is empty.
    """
    if not callable(listener):
        raise TypeError(f"a listener is a function of a change, not {describe(listener)}")
    subscription = ChangeSubscription(listener, check_pattern(limit))
    with _lock:
        _subscriptions.append(subscription)
    return subscription


def publish_change(change: RateChange) -> None:
    """Queue a change for the listeners."""
    with _lock:
        found = tuple(_subscriptions)
    for subscription in found:
        subscription.take(change)
