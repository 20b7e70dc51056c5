"""Listeners: functions that get an event for each decision, in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from inspect import iscoroutinefunction
from random import random
from time import time_ns
from typing import TYPE_CHECKING, Final, TypeAlias

from traffik.events.delivery import Delivery
from traffik.events.observers import NameOf, observe, observers, stop_observing
from traffik.events.records import DecisionEvent
from traffik.model.descriptions import describe
from traffik.model.keys import check_pattern, seal, sealed

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from traffik.events.observers import Sink
    from traffik.model.decisions import Decision

__all__ = ["Listener", "Subscription", "subscribe", "unsubscribe"]

Listener: TypeAlias = Callable[[DecisionEvent], object]
"""A function that takes an event, sync or async."""

_Item: TypeAlias = "tuple[str, NameOf, Decision, int, int, str, str | None]"
"""What a sink queues: the fields of an event, with the time in ns and the key as it is."""

_TIMEOUT: Final = 1.0
"""Seconds that the end of a subscription waits for the events that are still queued."""


class Subscription:
    """A listener that gets events; made by `subscribe`. Used with ``with``, it ends with the block.

    Attributes:
        listener: the function.
        pattern: of the uids that it watches.
        sample: the part of the events that it gets.
    """

    def __init__(
        self, listener: Listener, sample: float, pattern: str, secret: bytes | str | None, capacity: int
    ) -> None:
        self.listener = listener
        self.sample = sample
        self.pattern = pattern
        self._seal = None if secret is None else seal(secret)
        awaits = iscoroutinefunction(listener) or iscoroutinefunction(type(listener).__call__)
        self._delivery = Delivery(describe(listener), self._receive, capacity, awaits=awaits)

    @property
    def delivered(self) -> int:
        """How many events the listener has taken."""
        return self._delivery.delivered

    @property
    def dropped(self) -> int:
        """How many events were dropped because the listener was too slow."""
        return self._delivery.dropped

    @property
    def errors(self) -> int:
        """For how many events the listener raised an error."""
        return self._delivery.errors

    def flush(self, timeout: float = _TIMEOUT) -> bool:
        """Wait until the listener has taken the events so far, at most `timeout` seconds; whether it has."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float = _TIMEOUT) -> bool:
        """End the subscription: no hit is recorded from now on.

        Args:
            timeout: seconds to wait, at most, until the listener has taken the events that are queued.

        Returns:
            Whether it has taken them. If not, its thread goes on with them.
        """
        stop_observing(self)
        return self._delivery.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        listener = describe(self.listener)
        return f"<Subscription {listener} to {self.pattern!r}: {self.delivered} delivered, {self.dropped} dropped>"

    def sink_for(self, uid: str, name_of: NameOf) -> Sink | None:
        """As `traffik.events.observers.Observer`."""
        if not fnmatchcase(uid, self.pattern):
            return None
        delivery, queue = self._delivery, self._delivery.queue
        sample, everything, keyed = self.sample, self.sample >= 1, self._seal is not None

        def sink(decision: Decision, key: str, cost: int, action: str) -> None:
            if everything or random() < sample:  # noqa: S311 - no secret
                item = (uid, name_of, decision, cost, time_ns(), action, key if keyed else None)
                if len(queue) < delivery.mark:
                    queue.append(item)
                else:
                    delivery.put(item)

        return sink

    def _receive(self, item: _Item) -> object:
        uid, name_of, decision, cost, when, action, key = item
        if key is not None and self._seal is not None:
            key = sealed(key, self._seal)
        return self.listener(DecisionEvent(uid, decision, cost, when // 1000, action, name_of(decision), key))


def subscribe(
    listener: Listener,
    *,
    sample: float = 1.0,
    limit: str = "*",
    secret: bytes | str | None = None,
    capacity: int = 10_000,
) -> Subscription:
    """Call `listener` with an event for each decision, until the subscription is closed.

    The listener runs in a thread of its own, so a hit neither waits for it nor sees its errors. Events reach it within
    about 0.1 seconds. If it is too slow, events are dropped and counted.

    Args:
        listener: a function of a `DecisionEvent`. An async one runs in an event loop of that thread.
        sample: the part of the events to deliver, at random, above 0, at most 1.
        limit: a pattern of uids, as for `traffik.group`: ``"login"``, ``"api:*"``, or ``"*"`` for all.
        secret: 16 bytes or more. With it, events carry a keyed hash of the client's key; without it, no key.
        capacity: events that may wait for the listener, at least 2.

    Raises:
        TypeError: the listener cannot be called, or `limit` is not text.
        ValueError: `sample` or `capacity` is out of its range, or `limit` is empty.
        ConfigurationError: the secret is too short.
    """
    if not callable(listener):
        raise TypeError(f"a listener is a function of an event, not {describe(listener)}")
    if isinstance(sample, bool) or not isinstance(sample, int | float) or not 0 < sample <= 1:
        raise ValueError(f"a sample is a number above 0 and at most 1, not {sample!r}")
    if type(capacity) is not int or capacity < 2:
        raise ValueError(f"a capacity is an integer from 2, not {capacity!r}")
    subscription = Subscription(listener, sample, check_pattern(limit), secret, capacity)
    observe(subscription)
    return subscription


def unsubscribe(listener: Listener, timeout: float = _TIMEOUT) -> None:
    """Close every subscription of `listener`, as `Subscription.close`. Does nothing if there is none."""
    for observer in observers():
        if isinstance(observer, Subscription) and observer.listener == listener:
            observer.close(timeout)
