"""Which limit refuses no more than so much: bisection over limits that are decided on the requests of the log.

A client's fullest period says which limits can refuse it. Every strategy counts a request for at most two periods, so a
client that makes no more than L requests in any two periods is never refused under L and needs no decision. The other
clients are decided by the kernel of the strategy asked for, one limit after the other, between the last limit that
fails and the first that holds.

The search begins at an estimate: the least limit that enough clients stay within in their fullest periods, or that
leaves few enough requests over in the periods of the calendar. It tries limits of three figures: beyond 1000 multiples
of 10, beyond 10,000 multiples of 100.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from traffik.model.errors import RateError
from traffik.model.rates import Rate
from traffik.strategies import plan
from traffik_cli.replay.drifts import Demand
from traffik_cli.replay.fullest import Fullest, Integers, RequestArrays, arrays_of
from traffik_cli.replay.history import History
from traffik_cli.replay.ledgers import Ledger
from traffik_cli.replay.scenarios import Trial
from traffik_cli.replay.targets import Crests, Peaks, Suggestion, Target, Tried

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["countable", "crests_of", "demand_of", "refusable", "suggest"]

_Flags: TypeAlias = "NDArray[np.bool_]"

_AROUND: Final = (Fraction(3, 4), Fraction(3, 2), Fraction(2))
_QUANTILES: Final = {
    "p50": Fraction(1, 2),
    "p90": Fraction(9, 10),
    "p99": Fraction(99, 100),
    "p99.9": Fraction(999, 1000),
}


def suggest(
    arrays: RequestArrays, history: History, target: Target, model: Trial, period: int, group: str
) -> Suggestion:
    """The least limit within the target.

    Args:
        arrays: the requests of the history as arrays.
        history: the names of its clients.
        target: how much may be refused.
        model: the strategy and the cost.
        period: of the limit, µs.
        group: the group of requests that it is for.
    """
    search = _Search(arrays, history.names, _members(history, group), target, model, period)
    limit = search.least()
    search.look_around(limit)
    return Suggestion(
        group,
        str(target),
        period,
        search.requests,
        search.clients,
        _quantiles(search.peaks),
        _counted(search.peaks),
        [search.tried[each] for each in sorted(search.tried)],
        None if limit is None else search.tried[limit].rate,
    )


def _members(history: History, group: str) -> _Flags:
    """Which clients are in a group."""
    groups = history.groups
    return np.fromiter((each == group for each in groups), np.bool_, len(groups))


def refusable(arrays: RequestArrays, trial: Trial) -> _Flags:
    """Which clients a throttle may refuse; the others never make enough requests in two of its periods."""
    chosen = np.zeros(arrays.count, np.bool_)
    burst = getattr(trial.plan.strategy, "burst", None)
    for rate in trial.plan.rates:
        room = rate.limit if burst is None else min(burst, rate.limit)
        chosen |= arrays.fullest(rate.period).twice * trial.cost > room
    return chosen


def crests_of(history: History, period: int) -> Crests:
    """The clients of a history by their fullest periods."""
    named = np.fromiter(map(bool, history.names), np.bool_, len(history.names))
    return Crests(period, _counted(arrays_of(history).fullest(period).once[named]))


def demand_of(history: History, trial: Trial) -> list[Demand]:
    """What the clients of a history ask of a throttle, for each of its periods."""
    named = np.fromiter(map(bool, history.names), np.bool_, len(history.names))
    arrays = arrays_of(history)
    periods = dict.fromkeys(rate.period for rate in trial.plan.rates)
    return [Demand(trial.uid, each, _quantiles(arrays.fullest(each).once[named])) for each in periods]


def countable(most: int, counts: Callable[[int], bool]) -> int:
    """The highest limit up to `most` that a strategy can count, at least 1."""
    if counts(most):
        return most
    return max(bisect_left(range(1, most), True, key=lambda limit: not counts(limit)), 1)


@dataclass(slots=True)
class _Search:
    arrays: RequestArrays
    names: Sequence[bytes]
    members: _Flags
    target: Target
    model: Trial
    period: int
    tried: dict[int, Tried] = field(default_factory=dict)
    requests: int = 0
    clients: int = 0
    peaks: Integers = field(init=False)
    _fullest: Fullest = field(init=False)
    _named: _Flags = field(init=False)

    def __post_init__(self) -> None:
        self._named = self.members & np.fromiter(map(bool, self.names), np.bool_, len(self.names))
        self._fullest = self.arrays.fullest(self.period)
        self.peaks = self._fullest.once[self._named]
        self.requests = int(self.arrays.requests()[self.members].sum())
        self.clients = len(self.peaks)

    def least(self) -> int | None:
        """The least limit that holds; None if none does."""
        cost = self.model.cost
        most = countable(max(int(self._fullest.twice[self._named].max(initial=0)) * cost, 1), self._can_count)
        low, high = 0, min(max(_rounded(self._start() * cost), 1), most)
        step = first = max(high // 20, 1)
        while not self._holds(high):
            if high == most:
                return None
            low, high, step = high, min(max(_rounded(high + step), high + 1), most), step * 2
        step = first
        while not low and high > 1:
            lower = max(_rounded(high - step), 1)
            if self._holds(lower):
                high, step = lower, step * 2
            else:
                low = lower
        return self._between(low, high)

    def look_around(self, limit: int | None) -> None:
        """Decide some limits around one, to show what a little more or less would do."""
        for part in _AROUND if limit else ():
            other = _rounded(int((limit or 0) * part))
            if other and self._can_count(other):
                self._holds(other)

    def _between(self, low: int, high: int) -> int:
        """The first that holds, where `low` fails (0 is no limit) and `high` holds."""
        halve = False
        while low < (middle := _rounded((low + high) // 2)) < high:
            guess = middle if halve or not low else self._crossing(low, high)
            wide = high - low
            if self._holds(guess):
                high = guess
            else:
                low = guess
            halve = 2 * (high - low) > wide
        return high

    def _crossing(self, low: int, high: int) -> int:
        """Where a straight line from one to the other crosses the target, but neither of them."""
        above, below = self._share(low), self._share(high)
        guess = low + int((high - low) * (above - float(self.target.share)) / (above - below)) if above > below else low
        guess = _rounded(guess)
        return guess if low < guess < high else _rounded((low + high) // 2)

    def _share(self, limit: int) -> float:
        return self.tried[limit].refused if self.target.of == "requests" else self.tried[limit].touched

    def _start(self) -> int:
        """An estimate, in units of one request."""
        if not self.clients:
            return 1
        if self.target.of == "requests":
            return self._fullest.over(self.target.share, self._named)
        beyond = int(self.target.share * self.clients)
        return int(np.sort(self.peaks)[max(self.clients - beyond - 1, 0)])

    def _can_count(self, limit: int) -> bool:
        try:
            self._trial(limit)
        except RateError:
            return False
        return True

    def _trial(self, limit: int) -> Trial:
        return replace(self.model, plan=plan(self.model.plan.strategy, [Rate(limit, self.period)]))

    def _holds(self, limit: int) -> bool:
        """Whether a limit keeps within the target: decided on the clients that it can refuse."""
        if limit not in self.tried:
            self.tried[limit] = self._decided(limit)
        return self.tried[limit].met

    def _decided(self, limit: int) -> Tried:
        trial = self._trial(limit)
        ledger = Ledger(trial.plan, trial.cost, trial.selector)
        chosen = self._named & refusable(self.arrays, trial)
        refused = sum(self._refused(ledger, positions) for positions in self.arrays.only(chosen))
        touched = sum(entry.refusals is not None for _, entry in ledger.entries())
        part, whole = (refused, self.requests) if self.target.of == "requests" else (touched, self.clients)
        return Tried(
            str(*trial.plan.rates),
            refused / max(self.requests, 1),
            touched / max(self.clients, 1),
            part <= self.target.share * whole,
        )

    def _refused(self, ledger: Ledger, positions: Integers) -> int:
        arrays = self.arrays
        keys = [self.names[client] for client in arrays.clients[positions].tolist()]
        times = arrays.at(positions).tolist()
        if arrays.costs is None:
            return len(ledger.decide_all(times, keys))
        requests = zip(times, keys, arrays.costs[positions].tolist(), strict=True)
        return sum(ledger.decide(now, [key], cost) for now, key, cost in requests)


def _counted(peaks: Integers) -> list[Peaks]:
    return [Peaks(int(value), int(count)) for value, count in zip(*np.unique(peaks, return_counts=True), strict=True)]


def _quantiles(peaks: Integers) -> dict[str, int]:
    if not len(peaks):
        return {}
    ordered = np.sort(peaks)
    found = {name: int(ordered[-(-part * len(ordered) // 1) - 1]) for name, part in _QUANTILES.items()}
    return found | {"most": int(ordered[-1])}


def _rounded(limit: int) -> int:
    """Down to three figures, as people write limits."""
    step = int("1" + "0" * max(len(str(limit)) - 3, 0))
    return limit // step * step
