"""The observers of limits. A limit calls `recorder_of` when it prepares its calls, so a hit looks nothing up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from traffik.backends import binding
from traffik.events.recorders import Recorder, Watch, recorder_for
from traffik.model.decisions import Decision

__all__ = ["NameOf", "Observer", "observe", "observers", "recorder_of", "stop_observing"]

NameOf: TypeAlias = Callable[[Decision], "str | None"]
"""Returns the name of the policy that binds in a decision."""


class Observer(Protocol):
    """Something that watches limits."""

    def watch(self, uid: str, name_of: NameOf) -> Watch | None:
        """What to do with the decisions of a limit; None for nothing. Called under the lock of the stores.

        Args:
            uid: of the limit.
            name_of: names its policies.
        """


_observers: Final[list[Observer]] = []


def observe(observer: Observer) -> None:
    """Have `observer` watch every limit, also those made later."""
    with binding.lock:
        _observers.append(observer)
        binding.notify_subscribers()


def stop_observing(observer: Observer) -> None:
    """Have `observer` watch no limit any more. Does nothing if it watches none."""
    with binding.lock:
        if observer in _observers:
            _observers.remove(observer)
            binding.notify_subscribers()


def observers() -> tuple[Observer, ...]:
    """All current observers."""
    with binding.lock:
        return tuple(_observers)


def recorder_of(uid: str, name_of: NameOf) -> Recorder | None:
    """The recorder of the limit `uid`; None if nothing watches it."""
    watches = [observer.watch(uid, name_of) for observer in _observers]
    return recorder_for([watch for watch in watches if watch is not None])
