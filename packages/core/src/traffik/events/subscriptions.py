"""Listeners: functions that get an event for each decision, in another thread."""

from __future__ import annotations

from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from inspect import iscoroutinefunction
from math import log
from random import random
from time import time_ns
from typing import TYPE_CHECKING, Final, TypeAlias

from traffik.events.delivery import Delivery
from traffik.events.observers import NameOf, observe, observers, stop_observing
from traffik.events.recorders import Watch
from traffik.events.records import HIT, OUTCOMES, TRIAL, DecisionEvent, outcome_of
from traffik.model.descriptions import describe
from traffik.model.keys import check_pattern, seal, sealed

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from traffik.events.recorders import Note
    from traffik.model.decisions import Decision
    from traffik.model.rates import Rate

__all__ = ["Listener", "Subscription", "subscribe", "unsubscribe"]

Listener: TypeAlias = Callable[[DecisionEvent], object]
"""A function that takes an event, sync or async."""

_Item: TypeAlias = "tuple[_Source, Decision, int, int, str, str]"
"""What is queued in the path of a hit: limit, decision, cost, time in ns, action, and the local key as it is."""

_ALL: Final = frozenset(OUTCOMES)

_new: Final = tuple.__new__  # half the time of the constructor of a named tuple

_TIMEOUT: Final = 1.0
"""Seconds that the end of a subscription waits for the events that are still queued."""


class Subscription:
    """A listener that gets events; made by `subscribe`. Used with ``with``, it ends with the block.

    Attributes:
        listener: the function.
        pattern: of the uids that it watches.
        outcomes: of the decisions that it gets.
        sample: the part of the events that it gets.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        sample: float,
        pattern: str,
        outcomes: frozenset[str],
        secret: bytes | str | None,
        capacity: int,
    ) -> None:
        self.listener = listener
        self.sample = sample
        self.pattern = pattern
        self.outcomes = outcomes
        self._log = log(1.0 - sample) if sample < 1 else 0.0
        self._seal = None if secret is None else seal(secret)
        awaits = iscoroutinefunction(listener) or iscoroutinefunction(type(listener).__call__)
        self._delivery: Delivery[_Item] = Delivery(
            describe(listener), listener, capacity, awaits=awaits, prepare=self._events
        )

    @property
    def delivered(self) -> int:
        """The number of events that the listener has handled."""
        return self._delivery.delivered

    @property
    def dropped(self) -> int:
        """The number of events dropped because the listener was too slow."""
        return self._delivery.dropped

    @property
    def errors(self) -> int:
        """The number of events for which the listener raised an error."""
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

    def watch(self, uid: str, name_of: NameOf) -> Watch | None:
        """As `traffik.events.observers.Observer`."""
        if not fnmatchcase(uid, self.pattern):
            return None
        source = _Source(uid, name_of, self._delivery)
        record = source.put if self.sample == 1 else _Sample(self._gap, source.put).note
        wanted = frozenset(map(OUTCOMES.index, self.outcomes))

        def note(decision: Decision, key: str, cost: int, action: str) -> None:
            if outcome_of(decision, action) in wanted:
                record(decision, key, cost, action)

        return Watch(note, record if 0 in wanted else None, record if 1 in wanted else None)

    def _gap(self) -> int:
        """The number of decisions to skip until the next one of the sample."""
        # The same distribution as drawing each decision, but much faster.
        return int(log(1.0 - random()) / self._log)  # noqa: S311 - no secret

    def _events(self, items: list[_Item]) -> list[DecisionEvent]:
        """The events of queued decisions."""
        seal = self._seal
        return [
            _new(
                DecisionEvent,
                (
                    source.uid,
                    decision,
                    cost,
                    when // 1000,
                    HIT if action is TRIAL else action,
                    source.policy if decision[5] is source.rate else source.policy_of(decision),
                    None if seal is None else sealed(key, seal),
                    action is TRIAL,
                ),
            )
            for source, decision, cost, when, action, key in items
        ]


class _Source:
    """A limit whose decisions are queued.

    Attributes:
        uid: of the limit.
        policy: the name of the policy that was binding last.
        rate: the rate of that policy.
    """

    __slots__ = ("_delivery", "_name_of", "_queue", "policy", "rate", "uid")

    def __init__(self, uid: str, name_of: NameOf, delivery: Delivery[_Item]) -> None:
        self.uid = uid
        self.policy: str | None = None
        self.rate: Rate | None = None
        self._name_of = name_of
        self._delivery = delivery
        self._queue = delivery.queue

    def put(self, decision: Decision, key: str, cost: int, action: str) -> None:
        """Queue a decision."""
        if len(self._queue) < self._delivery.mark or self._delivery.has_room():
            self._queue.append((self, decision, cost, time_ns(), action, key))

    def policy_of(self, decision: Decision) -> str | None:
        """The name of the policy that binds. It is kept, since looking it up takes longer than all the rest."""
        self.rate, self.policy = decision.rate, self._name_of(decision)
        return self.policy


class _Sample:
    """Passes on one decision, then skips as many as `gap` returns, and so on."""

    __slots__ = ("_gap", "_left", "_note")

    def __init__(self, gap: Callable[[], int], note: Note) -> None:
        self._gap = gap
        self._left: int = gap()
        self._note = note

    def note(self, decision: Decision, key: str, cost: int, action: str) -> None:
        """Pass on a decision, or skip it."""
        if self._left:
            self._left -= 1
        else:
            self._left = self._gap()
            self._note(decision, key, cost, action)


def subscribe(
    listener: Listener,
    *,
    sample: float = 1.0,
    limit: str = "*",
    outcomes: Collection[str] = OUTCOMES,
    secret: bytes | str | None = None,
    capacity: int = 4_096,
) -> Subscription:
    """Call `listener` with an event for each decision, until the subscription is closed.

    The listener runs in its own thread, so a hit neither waits for it nor gets its errors. Events reach it within
    about 0.1 seconds. If it is too slow, events are dropped and counted.

    Args:
        listener: a function of a `DecisionEvent`. An async one runs in an event loop of that thread.
        sample: the part of the events to deliver, at random, above 0, at most 1.
        limit: a pattern of uids, as for `traffik.group`: ``"login"``, ``"api:*"``, or ``"*"`` for all.
        outcomes: the outcomes to deliver, as `DecisionEvent.outcome` has them, such as ``{"refused", "denied"}``.
        secret: 16 bytes or more. With it, events carry a keyed hash of the client's key; without it, no key.
        capacity: events that may wait for the listener, at least 2. More are dropped and counted.

    Raises:
        TypeError: the listener cannot be called, `limit` is not text, or `outcomes` is one text.
        ValueError: `sample` or `capacity` is out of its range, there is no such outcome, or `limit` is empty.
        ConfigurationError: the secret is too short.
    """
    if not callable(listener):
        raise TypeError(f"a listener is a function of an event, not {describe(listener)}")
    if isinstance(sample, bool) or not isinstance(sample, int | float) or not 0 < sample <= 1:
        raise ValueError(f"a sample is a number above 0 and at most 1, not {sample!r}")
    if type(capacity) is not int or capacity < 2:
        raise ValueError(f"a capacity is an integer from 2, not {capacity!r}")
    if isinstance(outcomes, str):
        raise TypeError(f"outcomes are several, such as [{outcomes!r}], not one text")
    chosen = frozenset(outcomes)
    if not chosen or chosen - _ALL:
        raise ValueError(f"outcomes are some of {', '.join(OUTCOMES)}, not {outcomes!r}")
    subscription = Subscription(
        listener, sample=sample, pattern=check_pattern(limit), outcomes=chosen, secret=secret, capacity=capacity
    )
    observe(subscription)
    return subscription


def unsubscribe(listener: Listener, timeout: float = _TIMEOUT) -> None:
    """Close every subscription of `listener`, as `Subscription.close`. Does nothing if there is none."""
    for observer in observers():
        if isinstance(observer, Subscription) and observer.listener == listener:
            observer.close(timeout)
