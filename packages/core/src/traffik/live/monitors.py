"""Counts decisions for the live page, in bounded memory.

A hit adds one to a counter, and if it is refused, one to the count of its client. Once a second a thread takes both
into the history and the sketch.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from traffik.events.observers import observe, stop_observing
from traffik.events.tallies import Tallies
from traffik.live.histories import History, rates_of
from traffik.live.sketches import RecentSketch

if TYPE_CHECKING:
    from traffik.events.recorders import Tally

__all__ = ["MOST_CLIENTS", "Monitor", "admitted_of", "refused_of"]

MOST_CLIENTS: Final = 500
"""Clients that the sketch keeps."""

_MOST_WAITING: Final = 10_000
"""Clients whose refusals of the last second are counted one by one; those of others are not."""

_SHOWN: Final = 25

_REFUSED: Final = (1, 2, 3)
"""The places of refusals in `OUTCOMES`: refused, unavailable and denied."""


class Monitor:
    """The decisions of this process.

    Args:
        pattern: of uids, as for `traffik.group`.
        minutes: how far back the history goes.
    """

    def __init__(self, pattern: str, minutes: int) -> None:
        self._tallies = _Waking(pattern, self._refused)
        self._seconds = minutes * 60
        self._waiting: dict[tuple[str, str], int] = {}
        self._begin()

    def _begin(self) -> None:
        self._waiting = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._history = History(self._seconds)
        self._recent: dict[str, History] = {}
        self._clients: RecentSketch[tuple[str, str]] = RecentSketch(MOST_CLIENTS, self._seconds / 2)

    def watches(self, uid: str) -> bool:
        """Whether the limit `uid` is counted."""
        return fnmatchcase(uid, self._tallies.pattern)

    def start(self, wake: Callable[[], None]) -> None:
        """Count from now on. `wake` is called when a limit is counted for the first time."""
        self._tallies.wake = wake
        observe(self._tallies)

    def stop(self) -> None:
        """Count no more."""
        stop_observing(self._tallies)

    def after_fork(self) -> None:
        """Start from zero in a forked process, since its parent keeps the counts so far."""
        self._begin()

    def collect(self, now: float) -> None:
        """Take what was counted since the last time into the history and the sketch. Called once a second."""
        waiting, self._waiting = self._waiting, {}
        for key, times in waiting.items():
            self._clients.add(key, times, now)
        for uid, tally in self._tallies:
            admitted, refused = admitted_of(tally), refused_of(tally)
            before, against = self._seen.get(uid, (0, 0))
            self._seen[uid] = admitted, refused
            if (admitted, refused) != (before, against):
                self._history.add(admitted - before, refused - against, now)
                self._recent.setdefault(uid, History(15)).add(admitted - before, refused - against, now)

    def report(self, now: float, mark_of: Callable[[str], str], show_keys: bool) -> dict[str, Any]:
        """What this process has counted, as values for JSON. Reports of several processes can be added."""
        clients = self._clients.top(_SHOWN, now)
        return {
            "at": now,
            "series": self._history.buckets(),
            "throttles": {uid: self._throttle(uid, tally, now) for uid, tally in self._tallies},
            "clients": [
                [uid, mark_of(key), _readable(key) if show_keys else None, count, error]
                for (uid, key), count, error in clients
            ],
        }

    def key_of(self, uid: str, mark: str, mark_of: Callable[[str], str], now: float) -> list[str]:
        """The local keys of a client, one for each scope, if this process knows it."""
        return [
            key
            for (name, key), _, _ in self._clients.top(MOST_CLIENTS * 2, now)
            if uid == name and mark_of(key) == mark
        ]

    def _throttle(self, uid: str, tally: Tally, now: float) -> dict[str, Any]:
        recent = self._recent.get(uid)
        buckets = [each for each in recent.buckets() if each.start > now - 15] if recent else []
        admitted, refused = rates_of(buckets, now)
        return {
            "admitted": admitted_of(tally),
            "refused": refused_of(tally),
            "unavailable": tally.counts[2],
            "trials": list(tally.trials),
            "degraded": dict(tally.degraded),
            "per_second": [round(admitted, 3), round(refused, 3)],
        }

    def _refused(self, uid: str, key: str) -> None:
        waiting, client = self._waiting, (uid, key)
        count = waiting.get(client, 0)
        if count or len(waiting) < _MOST_WAITING:
            waiting[client] = count + 1


class _Waking(Tallies):
    """Tallies that call `wake` when a limit decides for the first time."""

    wake: Callable[[], None] | None = None

    def __init__(self, pattern: str, refused: Callable[[str, str], None]) -> None:
        super().__init__(pattern, refused=refused)

    def tally(self, uid: str) -> Tally:
        if self.wake is not None:
            self.wake()
        return super().tally(uid)


def admitted_of(tally: Tally) -> int:
    """Hits that were admitted, exempted ones among them."""
    return tally.counts[0] + tally.counts[4]


def refused_of(tally: Tally) -> int:
    """Hits that were refused, for any reason."""
    return sum(tally.counts[place] for place in _REFUSED)


def _readable(key: str) -> str:
    """A local key in readable form: its parts without the marks between them."""
    return "".join(char if char.isprintable() else "·" for char in key)
