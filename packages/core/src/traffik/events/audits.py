"""Actions of operators on limits, such as on the live page: they are logged, and passed to listeners."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from traffik.events.delivery import Delivery
from traffik.model.descriptions import describe

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["AuditEvent", "AuditSubscription", "record_audit", "subscribe_audits"]

_CAPACITY: Final = 1_024

_log: Final = logging.getLogger("traffik.audit")


class AuditEvent(NamedTuple):
    """One action of an operator.

    Attributes:
        action: ``"disable"``, ``"enable"``, ``"reset"``, ``"ban"`` or ``"lift"``.
        uid: of the throttle or limiter.
        client: a keyed hash of the client's key; empty if it concerns all clients.
        seconds: the length of a ban.
        when: µs since 1970.
        by: who did it: the name that `authorize` of the page gave, or the name of the option with the token.
    """

    action: str
    uid: str
    client: str
    seconds: int
    when: int
    by: str = ""


class AuditSubscription:
    """A listener that gets audit events; made by `subscribe_audits`. Used with ``with``, it ends with the block."""

    def __init__(self, listener: Callable[[AuditEvent], object]) -> None:
        self._delivery: Delivery[AuditEvent] = Delivery(
            describe(listener), listener, _CAPACITY, awaits=iscoroutinefunction(listener)
        )

    def flush(self, timeout: float = 1.0) -> bool:
        """Wait until the listener has taken the events so far, at most `timeout` seconds; whether it has."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float = 1.0) -> bool:
        """End the subscription, and wait as `flush`."""
        if self in _subscriptions:
            _subscriptions.remove(self)
        return self._delivery.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_subscriptions: Final[list[AuditSubscription]] = []


def subscribe_audits(listener: Callable[[AuditEvent], object]) -> AuditSubscription:
    """Call `listener`, sync or async, with an event for each action, in its own thread.

    Raises:
        TypeError: the listener cannot be called.
    """
    if not callable(listener):
        raise TypeError(f"a listener is a function of an event, not {describe(listener)}")
    made = AuditSubscription(listener)
    _subscriptions.append(made)
    return made


def record_audit(event: AuditEvent) -> None:
    """Log an action, and pass it to the listeners."""
    span = f" for {event.seconds} s" if event.seconds else ""
    extra: dict[str, Any] = {f"traffik_{name}": value for name, value in event._asdict().items()}
    by = f" by {event.by}" if event.by else ""
    _log.warning("%s %s %s%s%s", event.action, event.uid, event.client, span, by, extra=extra)
    for each in tuple(_subscriptions):
        each._delivery.put(event)
