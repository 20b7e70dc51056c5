"""Counts the decisions of each limit by outcome. Counted in the path of a hit without a queue, so none is lost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from threading import RLock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from traffik.events.records import HIT, OUTCOMES, TRIAL, outcome_of
from traffik.model.decisions import ADMITTED

if TYPE_CHECKING:
    from traffik.events.observers import NameOf, Recorder
    from traffik.model.decisions import Decision

__all__ = ["OTHER", "Tallies", "Tally"]

OTHER: Final = "other"
"""The uid under which all further limits are counted if there are too many."""


class Tally:
    """The decisions of one limit.

    Attributes:
        counts: the number of each outcome, in the order of `OUTCOMES`.
        degraded: the number of decisions that were not exact, by the reason in `Decision.degraded`.
        trials: the number of hits that a shadow would have admitted, and of those that it would have refused.
    """

    __slots__ = ("counts", "degraded", "trials")

    def __init__(self) -> None:
        self.counts: list[int] = [0] * len(OUTCOMES)
        self.degraded: Counter[str] = Counter()
        self.trials: list[int] = [0, 0]

    def add(self, decision: Decision, action: str) -> list[int]:
        """Count a decision; returns `counts`."""
        if action is TRIAL:
            self.trials[not decision.allowed] += 1
            return self.counts
        self.counts[outcome_of(decision, action)] += 1
        if decision.degraded is not None:
            self.degraded[decision.degraded] += 1
        return self.counts


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

    def recorder_for(self, uid: str, name_of: NameOf, then: Recorder | None) -> Recorder | None:
        """As `traffik.events.observers.Observer`."""
        if not fnmatchcase(uid, self.pattern):
            return then
        refused = self._refused
        counts: list[int] = []  # until the first decision, so that limits that make none use up no tally

        def record(decision: Decision, key: str, cost: int, action: str) -> Decision:
            nonlocal counts
            if counts and decision[6] is None and decision is not ADMITTED and action is HIT:
                if decision[0]:
                    counts[0] += 1
                else:
                    counts[1] += 1
                    if refused is not None:
                        refused(uid, key)
            else:
                counts = self.tally(uid).add(decision, action)
                if refused is not None and not decision[0] and key and action is not TRIAL:
                    refused(uid, key)
            return decision if then is None else then(decision, key, cost, action)

        return record

    def _after_fork(self) -> None:
        """Count from zero in this process, since the parent still has the counts so far."""
        self._lock = RLock()
        for tally in self._tallies.values():
            tally.counts.clear()  # recorders that hold this list ask for the tally again
            tally.counts = [0] * len(OUTCOMES)
            tally.degraded.clear()
            tally.trials[:] = [0, 0]


_all: Final[WeakSet[Tallies]] = WeakSet()


def _after_fork_in_child() -> None:
    for tallies in tuple(_all):
        tallies._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
