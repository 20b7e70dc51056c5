"""How many requests each client makes within any period, and the requests of a few clients, by numpy.

A client's fullest period is the stretch of that length with the most requests; it may begin at any instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from traffik_cli.replay.history import History

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fullest", "Integers", "RequestArrays", "arrays_of"]

Integers: TypeAlias = "NDArray[np.int64]"

_PART: Final = 4_000_000
"""Requests that are looked at together, which bounds the memory."""

_SOME: Final = 50_000
"""Requests that are decided together."""


@dataclass(frozen=True, slots=True)
class RequestArrays:
    """A history as arrays.

    Attributes:
        clients: the number of the client of every request.
        times: the instants, µs.
        ends: requests up to the end of each instant.
        costs: units of every request; None if each takes one.
        count: how many clients there are.
    """

    clients: NDArray[np.uint32]
    times: Integers
    ends: Integers
    costs: Integers | None
    count: int
    _known: dict[int, Fullest] = field(default_factory=dict)

    def requests(self) -> Integers:
        """The number of requests of each client."""
        return np.bincount(self.clients, minlength=self.count)

    def fullest(self, period: int) -> Fullest:
        """How much each client takes in any stretch of `period` µs; looked for once."""
        known = self._known.get(period)
        if known is None:
            once, twice = np.zeros(self.count, np.int64), np.zeros(self.count, np.int64)
            known = self._known[period] = Fullest(once, twice, np.zeros(0, np.int64), np.zeros(0, np.int64))
            for low, positions in self._parts():
                if len(positions):
                    self._fill(known, low, positions, period)
        return known

    def at(self, positions: Integers) -> Integers:
        """The instants of requests."""
        return self.times[np.searchsorted(self.ends, positions, "right")]

    def only(self, chosen: NDArray[np.bool_]) -> Iterator[Integers]:
        """The positions of the requests of the chosen clients, some at a time, in the order of time."""
        positions = np.flatnonzero(chosen[self.clients])
        for start in range(0, len(positions), _SOME):
            yield positions[start : start + _SOME]

    def beside(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[Integers, Integers]]:
        """The instants of all requests, some at a time, and the positions of those of the chosen clients among them."""
        for start in range(0, len(self.clients), _SOME):
            positions = np.arange(start, min(start + _SOME, len(self.clients)))
            yield self.at(positions), positions[chosen[self.clients[positions]]]

    def _parts(self) -> Iterator[tuple[int, Integers]]:
        """The positions of the requests of some clients at a time, ordered by client; and the first of the clients."""
        totals = np.cumsum(self.requests())
        low = before = 0
        while low < self.count:
            high = max(int(np.searchsorted(totals, before + _PART, "right")), low + 1)
            if low == 0 and high >= self.count:
                yield low, np.argsort(self.clients, kind="stable")
                return
            positions = np.flatnonzero((self.clients >= low) & (self.clients < high))
            yield low, positions[np.argsort(self.clients[positions], kind="stable")]
            low, before = high, int(totals[high - 1])

    def _fill(self, found: Fullest, low: int, positions: Integers, period: int) -> None:
        clients = self.clients[positions].astype(np.int64) - low
        instants = np.searchsorted(self.ends, positions, "right")
        costs = np.ones(len(positions), np.int64) if self.costs is None else self.costs[positions]
        total = np.concatenate(([0], np.cumsum(costs)))
        begins = _begins(clients)
        places = clients * (len(self.times) + 1)
        after = np.searchsorted(self.times, self.times - period, "right")
        since = np.searchsorted(self.times, self.times - 2 * period, "left")
        for most, oldest in ((found.once, after), (found.twice, since)):
            first = np.searchsorted(places + instants, places + oldest[instants])
            most[clients[begins] + low] = np.maximum.reduceat(total[1:] - total[first], begins)
        windows = (self.times // period)[instants]
        opens = np.zeros(len(positions), np.bool_)
        opens[begins] = opens[_begins(windows)] = True
        opened = np.flatnonzero(opens)
        found.windows = np.concatenate((found.windows, np.diff(np.append(total[opened], total[-1]))))
        found.owners = np.concatenate((found.owners, clients[opened] + low))


@dataclass(slots=True)
class Fullest:
    """How much clients take in a period.

    Attributes:
        once: the most units that any stretch as long as the period holds, by client.
        twice: the same of two periods, both ends included.
        windows: the units of a client in a period of the calendar, for each of both that there are.
        owners: the clients of the windows.
    """

    once: Integers
    twice: Integers
    windows: Integers
    owners: Integers

    def over(self, share: Fraction, chosen: NDArray[np.bool_]) -> int:
        """The least limit that leaves at most this share of the chosen clients' units over in calendar periods."""
        counts = np.sort(self.windows[chosen[self.owners]])[::-1]
        total = np.cumsum(counts)
        # Under a limit of the next lower count so much is over; it grows by the number of higher counts a unit.
        most = share * int(total[-1])
        lower = np.append(counts[1:], 0)
        over = total - lower * np.arange(1, len(counts) + 1)
        place = int(np.searchsorted(over, float(most), "right"))
        if place >= len(counts):
            return 1
        return max(int((int(total[place]) - most) // (place + 1)), 1)


def _begins(column: Integers) -> Integers:
    """Where a column changes, and its first place."""
    return np.concatenate(([0], np.flatnonzero(np.diff(column)) + 1))


def arrays_of(history: History) -> RequestArrays:
    """The arrays of a history."""
    costs = np.frombuffer(history.costs, np.int64) if history.costs else None
    return RequestArrays(
        np.frombuffer(history.clients, np.uint32) if history.clients else np.zeros(0, np.uint32),
        np.frombuffer(history.times, np.int64) if history.times else np.zeros(0, np.int64),
        np.frombuffer(history.ends, np.int64) if history.ends else np.zeros(0, np.int64),
        costs,
        len(history.names),
    )
