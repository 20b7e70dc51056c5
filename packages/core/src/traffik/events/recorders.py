"""Records the decisions of a limit, for all of its observers together.

A limit that is watched calls its recorder with every decision. This is in the path of a hit, so it neither waits nor
fails. Most decisions are hits that the quota admits: these are counted, and go only to observers that want them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from weakref import WeakSet

from traffik.events.records import HIT, OUTCOMES, TRIAL, outcome_of
from traffik.model.decisions import ADMITTED

if TYPE_CHECKING:
    from traffik.model.decisions import Decision

__all__ = ["Note", "Recorder", "Tally", "Watch", "recorder_for"]

Note: TypeAlias = "Callable[[Decision, str, int, str], object]"
"""Called with a decision, the local key, the cost and the action."""


class Tally:
    """The decisions of one limit.

    Attributes:
        admitted: the number of hits that were admitted.
        refused: the number of hits that were refused by the quota.
        others: the numbers of the other outcomes, in the order of `OUTCOMES`.
        degraded: the number of decisions that were not exact, by the reason in `Decision.degraded`.
        trials: the number of hits that a shadow would have admitted, and of those that it would have refused.
    """

    __slots__ = ("admitted", "degraded", "others", "refused", "trials")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Count from zero."""
        self.admitted: int = 0
        self.refused: int = 0
        self.others: list[int] = [0] * (len(OUTCOMES) - 2)
        self.degraded: Counter[str] = Counter()
        self.trials: list[int] = [0, 0]

    @property
    def counts(self) -> list[int]:
        """The number of each outcome, in the order of `OUTCOMES`."""
        return [self.admitted, self.refused, *self.others]

    def add(self, decision: Decision, action: str) -> None:
        """Count a decision."""
        if action is TRIAL:
            self.trials[not decision.allowed] += 1
            return
        outcome = outcome_of(decision, action)
        if outcome == 0:
            self.admitted += 1
        elif outcome == 1:
            self.refused += 1
        else:
            self.others[outcome - 2] += 1
        if decision.degraded is not None:
            self.degraded[decision.degraded] += 1


class Watch(NamedTuple):
    """What an observer does with the decisions of one limit.

    Attributes:
        note: called with each decision, except those that the others are for.
        admitted: called with each hit that the quota admits; None to do nothing.
        refused: called with each hit that it refuses; None to do nothing.
        tally: returns the tally in which both are counted. It is called when the first is.
    """

    note: Note
    admitted: Note | None = None
    refused: Note | None = None
    tally: Callable[[], Tally] | None = None


class Recorder:
    """Passes the decisions of one limit to all that watch it."""

    __slots__ = ("__weakref__", "_admitted", "_note", "_refused", "_tally", "_tally_of")

    def __init__(self, note: Note, admitted: Note | None, refused: Note | None, tally_of: Callable[[], Tally]) -> None:
        self._note = note
        self._admitted = admitted
        self._refused = refused
        self._tally_of = tally_of
        self.start_anew()
        _all.add(self)

    def start_anew(self) -> None:
        """Ask for the tally at the next hit. A limit that makes none, in this process, uses up no tally."""
        self._tally: Tally | None = None

    def hit(self, decision: Decision, key: str, cost: int, action: str) -> Decision:
        """Record a decision about a hit, and return it."""
        if decision[6] is not None or decision is ADMITTED:
            self._note(decision, key, cost, action)
            return decision
        tally = self._tally or self._open()
        if decision[0]:
            tally.admitted += 1
            note = self._admitted
        else:
            tally.refused += 1
            note = self._refused
        if note is not None:
            note(decision, key, cost, action)
        return decision

    def record(self, decision: Decision, key: str, cost: int, action: str) -> None:
        """Record a decision of any kind."""
        if action is HIT:
            self.hit(decision, key, cost, action)
        else:
            self._note(decision, key, cost, action)

    def _open(self) -> Tally:
        self._tally = tally = self._tally_of()
        return tally


def recorder_for(watches: Sequence[Watch]) -> Recorder | None:
    """The recorder for all these watches; None if there are none."""
    if not watches:
        return None
    tallies = [each.tally for each in watches if each.tally is not None] or [Tally]
    note = _each([each.note for each in watches])
    more = [Recorder(note, None, None, tally).hit for tally in tallies[1:]]
    return Recorder(
        note,
        _each([*more, *(each.admitted for each in watches if each.admitted is not None)]),
        _each([*more, *(each.refused for each in watches if each.refused is not None)]),
        tallies[0],
    )


def _each(functions: Sequence[Any]) -> Any:
    """One function that calls all of these; None if there are none."""
    if len(functions) < 2:
        return functions[0] if functions else None

    def call(*arguments: Any) -> None:
        for function in functions:
            function(*arguments)

    return call


_all: Final[WeakSet[Recorder]] = WeakSet()


def _after_fork_in_child() -> None:
    for recorder in tuple(_all):
        recorder.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
