"""Counts the decisions of each limit by outcome. Counted in the path of a hit without a queue, so none is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from threading import RLock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from traffik.events.recorders import Tally, Watch
from traffik.events.records import TRIAL

if TYPE_CHECKING:
    from traffik.events.observers import NameOf
    from traffik.model.decisions import Decision

__all__ = ["OTHER", "Tallies"]

OTHER: Final = "other"
"""The uid under which all further limits are counted if there are too many."""


class Tallies:
    """The tallies of the limits that match a pattern. An observer, as in `traffik.events.observers`.

    Args:
        pattern: of uids, as for `traffik.group`.
        most: tallies that are kept, at least 1. Limits that decide later are counted together, as `OTHER`.
        refused: called with the uid and the local key of each refusal, in the path of the hit.
    """

    def __init__(self, pattern: str = "*", most: int = 200, refused: Callable[[str, str], None] | None = None) -> None:
        self.pattern = pattern
        self._refused = refused
        self.most = most
        self._tallies: dict[str, Tally] = {}
        self._lock = RLock()  # a signal handler may make a limit while its thread holds it
        _all.add(self)

    def __iter__(self) -> Iterator[tuple[str, Tally]]:
        with self._lock:
            return iter([*self._tallies.items()])

    def tally(self, uid: str) -> Tally:
        """The tally of a limit."""
        with self._lock:
            found = self._tallies.get(uid)
            if found is None:
                own = sum(known != OTHER for known in self._tallies) < self.most
                found = self._tallies.setdefault(uid if own else OTHER, Tally())
            return found

    def watch(self, uid: str, name_of: NameOf) -> Watch | None:
        """As `traffik.events.observers.Observer`."""
        if not fnmatchcase(uid, self.pattern):
            return None
        refused = self._refused

        def note(decision: Decision, key: str, _cost: int, action: str) -> None:
            self.tally(uid).add(decision, action)
            if refused is not None and not decision[0] and key and action is not TRIAL:
                refused(uid, key)

        def note_refused(_decision: Decision, key: str, _cost: int, _action: str) -> None:
            if refused is not None:
                refused(uid, key)

        return Watch(note, refused=refused and note_refused, tally=lambda: self.tally(uid))

    def _after_fork(self) -> None:
        """Count from zero in this process, since the parent still has the counts so far."""
        self._lock = RLock()
        for tally in self._tallies.values():
            tally.clear()


_all: Final[WeakSet[Tallies]] = WeakSet()


def _after_fork_in_child() -> None:
    for tallies in tuple(_all):
        tallies._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
