"""The observers of limits. A limit calls `recorder_of` when it prepares its calls, so a hit looks nothing up.

An observer gives a limit a recorder, which is called with every decision of it. This is in the path of a hit, so it
neither waits nor fails, and does as little as it can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from traffik.backends import binding
from traffik.model.decisions import Decision

__all__ = ["NameOf", "Observer", "Recorder", "observe", "observers", "recorder_of", "stop_observing"]

Recorder: TypeAlias = Callable[[Decision, str, int, str], Decision]
"""Called with a decision, the local key, the cost and the action; returns the decision."""

NameOf: TypeAlias = Callable[[Decision], "str | None"]
"""Returns the name of the policy that binds in a decision."""


class Observer(Protocol):
    """Something that watches limits."""

    def recorder_for(self, uid: str, name_of: NameOf, then: Recorder | None) -> Recorder | None:
        """The recorder for the limit `uid`, which calls `then` at its end. Called under the lock of the stores.

        Args:
            uid: of the limit.
            name_of: names its policies.
            then: the recorder of other observers, which is returned if this one does not watch the limit.
        """


_observers: Final[list[Observer]] = []


def observe(observer: Observer) -> None:
    """Have every limit, also those made later, ask `observer` for a recorder."""
    with binding.lock:
        _observers.append(observer)
        binding.notify_subscribers()


def stop_observing(observer: Observer) -> None:
    """Take the recorders of `observer` out of every limit. Does nothing if it does not observe."""
    with binding.lock:
        if observer in _observers:
            _observers.remove(observer)
            binding.notify_subscribers()


def observers() -> tuple[Observer, ...]:
    """All current observers."""
    with binding.lock:
        return tuple(_observers)


def recorder_of(uid: str, name_of: NameOf) -> Recorder | None:
    """The recorders of all observers of the limit `uid`, as one function; None if there are none."""
    recorder: Recorder | None = None
    for observer in _observers:
        recorder = observer.recorder_for(uid, name_of, recorder)
    return recorder
