"""Which limit would refuse no more than so much: an estimate from the rates of the clients, then decisions.

First every client's requests are counted in windows of the period that follow the calendar. If a window held c of them,
a limit L would leave max(0, c - L) over; and a client whose fullest window held c is touched if c > L. The estimate is
the least L that keeps the sum of the first (or the number of the second) within the target.

A strategy does not count in calendar windows, so the estimate is no answer yet. Limits around it are decided one by one
on the whole log, by the kernel of the strategy asked for; the suggestion is the least of those tried that keeps within
the target. The largest of them is four times what any window held: no two windows that touch hold more, so that it
refuses nobody unless a burst was set that does. A strategy that cannot count so much is tried up to what it can.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Final

from traffik.model.errors import ConfigurationError
from traffik_cli.replay.batches import Hit
from traffik_cli.replay.conditions import share
from traffik_cli.replay.ledgers import MOST
from traffik_cli.replay.scenarios import Scenario
from traffik_cli.replay.selectors import Selector, identity_in

__all__ = ["Distribution", "Suggestion", "Target", "Tried", "countable", "suggestion_of", "target_of"]

_LADDER: Final = tuple(Fraction(each, 100) for each in (60, 75, 90, 100, 110, 125, 150, 200))
_QUANTILES: Final = (Fraction(1, 2), Fraction(9, 10), Fraction(99, 100), Fraction(999, 1000), Fraction(1))


@dataclass(frozen=True, slots=True)
class Target:
    """How much may be refused.

    Attributes:
        share: from 0 to 1.
        of: ``requests``, or ``clients`` that are refused at least once.
    """

    share: Fraction
    of: str

    def __str__(self) -> str:
        return f"{float(self.share * 100):g}% of {self.of}"

    def met(self, scenario: Scenario) -> bool:
        """Whether a scenario of one throttle keeps within it."""
        found = _found(scenario)
        part, whole = (found.refused, found.requests) if self.of == "requests" else (found.touched, found.clients)
        return part <= self.share * whole


def target_of(text: str) -> Target:
    """The target that `text` spells: ``0.1%``, ``0.1% of requests`` or ``1% of clients``.

    Raises:
        ConfigurationError: it spells none.
    """
    part, _, of = text.partition(" of ")
    of = of.strip() or "requests"
    if of not in {"requests", "clients"}:
        raise ConfigurationError(f'{text!r} is no target: write "0.1%", "0.1% of requests" or "1% of clients"')
    return Target(share(part), of)


@dataclass(slots=True)
class Distribution:
    """How many requests clients make in a window of the period.

    Args:
        period: µs.
        selector: where keys come from.
        most: clients that are told apart; beyond that those not seen in the present window are forgotten, and come
            again as others.
    """

    period: int
    selector: Selector
    most: int = MOST
    requests: int = 0
    _windows: dict[bytes, list[int]] = field(default_factory=dict)
    _raw: dict[bytes, list[int]] = field(default_factory=dict)
    _filled: Counter[int] = field(default_factory=Counter)
    _fullest: Counter[int] = field(default_factory=Counter)

    def add(self, now: int, keys: list[Hit]) -> None:
        """Count a run of hits; runs come in the order of time."""
        raw, filled, window = self._raw, self._filled, now // self.period
        for key in keys:
            try:
                entry = raw[key]
            except KeyError:
                found = self._arrive(key, window)
                if found is None:
                    continue
                entry = found
            if entry[0] == window:
                entry[1] += 1
                continue
            filled[entry[1]] += 1
            if entry[1] > entry[2]:
                entry[2] = entry[1]
            entry[0], entry[1] = window, 1

    def _arrive(self, key: Hit, window: int) -> list[int] | None:
        if not key or key == b"-":
            return None
        if len(self._raw) >= self.most:
            self._forget(window)
        identity = identity_in(self.selector, key)
        entry = self._raw[key] = self._windows.setdefault(identity, [window, 0, 0])
        return entry

    def _forget(self, window: int) -> None:
        """Let go of the clients that are not in the present window, if that helps; they have been counted."""
        gone = [identity for identity, entry in self._windows.items() if entry[0] != window]
        for identity in gone:
            self._close(self._windows.pop(identity))
        alive = {id(entry) for entry in self._windows.values()}
        # From the table itself, since `add` is at work on it.
        for key in [key for key, entry in self._raw.items() if id(entry) not in alive]:
            del self._raw[key]
        self.most = max(self.most, 2 * len(self._raw))

    def _close(self, entry: list[int]) -> None:
        self._filled[entry[1]] += 1
        self._fullest[max(entry[1], entry[2])] += 1

    def close(self) -> None:
        """There are no more hits."""
        for entry in self._windows.values():
            self._close(entry)
        self._windows.clear()
        self._raw.clear()
        self.requests = sum(count * windows for count, windows in self._filled.items())

    @property
    def clients(self) -> int:
        """How many there were."""
        return self._fullest.total()

    @property
    def peaks(self) -> Counter[int]:
        """Clients by the requests in their fullest window."""
        return self._fullest

    def quantiles(self) -> dict[str, int]:
        """What the fullest windows of a half, of 90 %, 99 %, 99.9 % and all of the clients hold at most."""
        found: dict[str, int] = {}
        below, sought = 0, list(_QUANTILES)
        for count in sorted(self._fullest):
            below += self._fullest[count]
            while sought and below >= sought[0] * self.clients:
                found[f"{float(sought.pop(0) * 100):g}%"] = count
        return found

    def estimate(self, target: Target) -> int:
        """The least limit that keeps within the target, by the counts in calendar windows."""
        counts = self._filled if target.of == "requests" else self._fullest
        most = target.share * (self.requests if target.of == "requests" else self.clients)
        # From the largest count down: how much is over a limit grows by `above` for every step down.
        over = above = 0
        higher = max(counts, default=1)
        for count in sorted(counts, reverse=True):
            if target.of == "clients":
                if above + counts[count] > most:
                    return max(count, 1)
            elif above:
                steps = higher - count
                if over + above * steps > most:
                    return max(higher - int((most - over) // above), 1)
                over += above * steps
            above += counts[count]
            higher = count
        if target.of == "requests" and above:
            return max(higher - int((most - over) // above), 1)
        return 1

    def ladder(self, target: Target, cost: int) -> list[int]:
        """The limits to try where a request takes so much, in order."""
        middle = self.estimate(target) * cost
        safe = 4 * max(self._fullest, default=1) * cost
        return sorted({min(_rounded(middle * step), safe) for step in _LADDER} | {middle, safe})


def countable(limits: Sequence[int], counts: Callable[[int], bool]) -> list[int]:
    """Those of `limits`, which are in order, that a strategy can count, and the most that it can if that is less."""
    if counts(limits[-1]):
        return list(limits)
    most = bisect_left(range(1, limits[-1]), True, key=lambda limit: not counts(limit))
    return [limit for limit in limits if limit < most] + [max(most, 1)]


@dataclass(frozen=True, slots=True)
class Tried:
    """What one limit did.

    Attributes:
        rate: the limit, as text.
        refused: the share of requests it refused.
        touched: the share of clients it refused at least once.
        met: whether that is within the target.
    """

    rate: str
    refused: float
    touched: float
    met: bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A limit for a target.

    Attributes:
        target: as text.
        period: the period of the limit, µs.
        quantiles: what the fullest windows of a part of the clients hold at most, by the part.
        estimate: the least limit by the counts in calendar windows.
        tried: the limits that were decided, in order.
        rate: the least of those that keeps within the target, as text; None if none does.
    """

    target: str
    period: int
    quantiles: dict[str, int]
    estimate: int
    tried: list[Tried]
    rate: str | None


def suggestion_of(found: Distribution, target: Target, scenarios: Sequence[Scenario]) -> Suggestion:
    """The suggestion, from a scenario for every limit of the ladder, in its order."""
    tried = [_tried(scenario, target) for scenario in scenarios]
    rate = next((each.rate for each in tried if each.met), None)
    return Suggestion(str(target), found.period, found.quantiles(), found.estimate(target), tried, rate)


def _tried(scenario: Scenario, target: Target) -> Tried:
    found = _found(scenario)
    (rate,) = scenario.trials[0].plan.rates
    return Tried(
        str(rate),
        found.refused / max(found.requests, 1),
        found.touched / max(found.clients, 1),
        target.met(scenario),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    requests: int
    refused: int
    clients: int
    touched: int


def _found(scenario: Scenario) -> _Found:
    ledger = scenario.ledgers[0]
    entries = ledger.entries()
    touched = sum(entry.refusals is not None for _, entry in entries) + ledger.folded.touched
    return _Found(scenario.requests, scenario.refused, len(entries) + ledger.folded.keys, touched)


def _rounded(limit: Fraction) -> int:
    """Up to two figures, as people write limits."""
    whole = max(ceil(limit), 1)
    step = int("1" + "0" * max(len(str(whole)) - 2, 0))
    return -(-whole // step) * step
