"""Who watches which limit. A limit asks `recorder_of` when it prepares its calls, so that a hit asks nothing.

An observer gives a limit a sink, which is called with every decision of it. Sinks are called in the path of a hit: they
neither wait nor fail, and do as little as they can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from traffik.backends import binding
from traffik.model.decisions import Decision

__all__ = ["NameOf", "Observer", "Recorder", "Sink", "observe", "observers", "recorder_of", "stop_observing"]

Sink: TypeAlias = Callable[[Decision, str, int, str], object]
"""Called with a decision, the local key, the cost and the action."""

Recorder: TypeAlias = Callable[[Decision, str, int, str], Decision]
"""A sink that returns the decision."""

NameOf: TypeAlias = Callable[[Decision], "str | None"]
"""Returns the name of the policy that binds in a decision."""


class Observer(Protocol):
    """Something that watches limits."""

    def sink_for(self, uid: str, name_of: NameOf) -> Sink | None:
        """The sink for the limit `uid`; None if it is not watched. Called under the lock of the stores."""


_observers: Final[list[Observer]] = []


def observe(observer: Observer) -> None:
    """Have every limit, also those made later, ask `observer` for a sink."""
    with binding.lock:
        _observers.append(observer)
        binding.notify_subscribers()


def stop_observing(observer: Observer) -> None:
    """Take the sinks of `observer` out of every limit. Does nothing if it does not observe."""
    with binding.lock:
        if observer in _observers:
            _observers.remove(observer)
            binding.notify_subscribers()


def observers() -> tuple[Observer, ...]:
    """All who observe now."""
    with binding.lock:
        return tuple(_observers)


def recorder_of(uid: str, name_of: NameOf) -> Recorder | None:
    """Calls the sinks of all who watch the limit `uid`, unless an action is `SILENT`; None if there are none."""
    found = [sink for observer in _observers if (sink := observer.sink_for(uid, name_of)) is not None]
    if not found:
        return None
    first, *rest = found

    def record(decision: Decision, key: str, cost: int, action: str) -> Decision:
        if action:
            first(decision, key, cost, action)
            for sink in rest:
                sink(decision, key, cost, action)
        return decision

    return record
