"""A limit, or several at once, tried on traffic: every throttle that applies to a request decides on it, in order.

As in production, the first throttle that refuses a request ends it: those behind are not asked, those before have
counted it. Several scenarios are tried side by side on one reading of a log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from operator import itemgetter
from typing import Final, TypeAlias
from urllib.parse import unquote

from traffik.strategies import Plan
from traffik_cli.replay.batches import Batch, Hit, Wanted
from traffik_cli.replay.ledgers import MOST, Ledger
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.tiering import TierField, TierTally
from traffik_cli.replay.timeline import Timeline

__all__ = ["Applies", "Routes", "Scenario", "Trial", "units_in", "wanted_by"]

Applies: TypeAlias = Callable[[str, str], bool]
"""Whether a throttle applies to a request of this method and path."""

_DIGITS: Final = 18
_ROUTES: Final = 50_000
"""Pairs of method and path that are remembered; more than that are looked at again."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A throttle as it is tried.

    Attributes:
        uid: its name.
        plan: its strategy, made ready for its rates.
        cost: units of quota that a request takes, at least 1.
        selector: whose quota it is.
        applies: which requests it is for; None if for all.
        weight: the field that holds the units that each request takes; None if all take `cost`.
        tiers: the field that names the tier of each request, and the rates of the tiers; None if `plan` is for all.
    """

    uid: str
    plan: Plan
    cost: int
    selector: Selector
    applies: Applies | None = None
    weight: Selector | None = None
    tiers: TierField | None = None

    @property
    def rates(self) -> str:
        """Its rates as text."""
        return self.tiers.rates if self.tiers is not None else "; ".join(map(str, self.plan.rates)) or "unlimited"


def wanted_by(scenarios: Sequence[Sequence[Trial]], more: Sequence[Selector] = (), *, request: bool = False) -> Wanted:
    """What trying all these takes of every line, with `more` fields, and method and path on `request`."""
    trials = [trial for trials in scenarios for trial in trials]
    fields = [trial.weight for trial in trials if trial.weight is not None]
    fields += [trial.tiers.selector for trial in trials if trial.tiers is not None]
    return Wanted(
        tuple(dict.fromkeys((*(trial.selector for trial in trials), *fields, *more))),
        request=request or any(trial.applies is not None for trial in trials),
    )


@dataclass(slots=True)
class Routes:
    """Which throttles apply to a request, remembered by its method and path.

    Args:
        trials: the throttles.
    """

    trials: Sequence[Trial]
    _known: dict[tuple[bytes | None, bytes | None], list[int]] = field(default_factory=dict)

    def places(self, request: tuple[bytes | None, bytes | None]) -> list[int]:
        """The throttles that apply, by their places."""
        found = self._known.get(request)
        if found is None:
            if len(self._known) >= _ROUTES:
                self._known.clear()
            method, path = _text(request[0]), unquote(_text(request[1]))
            found = self._known[request] = [
                place for place, trial in enumerate(self.trials) if trial.applies is None or trial.applies(method, path)
            ]
        return found


@dataclass(slots=True)
class Scenario:
    """Some throttles at once, and what became of the traffic.

    Args:
        name: what it is called in reports.
        trials: the throttles, in the order in which they are asked.
        wanted: what hits hold.
        most: keys of a throttle that are counted separately.
    """

    name: str
    trials: Sequence[Trial]
    wanted: Wanted
    most: int = MOST
    timeline: Timeline = field(default_factory=Timeline)
    requests: int = 0
    refused: int = 0
    pathless: int = 0
    ledgers: list[Ledger] = field(init=False)
    tallies: list[TierTally | None] = field(init=False)
    _places: list[int] = field(init=False)
    _weights: list[int | None] = field(init=False)
    _routes: Routes = field(init=False)

    def __post_init__(self) -> None:
        self._routes = Routes(self.trials)
        self.ledgers = [Ledger(trial.plan, trial.cost, trial.selector, self.most) for trial in self.trials]
        place = self.wanted.selectors.index
        self._places = [place(trial.selector) for trial in self.trials]
        self.tallies = [_tally(trial.tiers, self.wanted) for trial in self.trials]
        self._weights = [None if trial.weight is None else place(trial.weight) for trial in self.trials]

    def decide(self, now: int, hits: Sequence[Hit]) -> None:
        """Decide requests at one instant, µs."""
        self.decide_all(Batch([now] * len(hits), list(hits)))

    def decide_all(self, batch: Batch, among: Sequence[int] | None = None) -> None:
        """Decide requests.

        Args:
            batch: the requests; batches come in the order of time.
            among: the instants of all requests, if no throttle is to be asked about some of them.
        """
        if [*self._weights, *self.tallies] != [None, None]:  # several throttles, or requests that differ in more
            refused = [now for now, hit in zip(*batch, strict=True) if self._refused(now, hit)]
        else:
            refused = self.ledgers[0].decide_all(*(batch if self.wanted.bare else self._keyed(batch)))
        times = batch.times if among is None else among
        self.timeline.add(times, refused)
        self.requests += len(times)
        self.refused += len(refused)

    def _keyed(self, batch: Batch) -> Batch:
        """The keys of those requests that the only throttle applies to."""
        if self.wanted.request:
            batch = batch.only([bool(self._route(hit)) for hit in batch.hits])
        return Batch(batch.times, list(map(itemgetter(self._places[0]), batch.hits)))

    def _refused(self, now: int, hit: Hit) -> bool:
        if self.wanted.bare:  # all throttles have the same key
            return any(ledger.decide(now, [hit]) for ledger in self.ledgers)
        for each in self._route(hit) if self.wanted.request else range(len(self.ledgers)):
            weight = self._weights[each]
            cost = None if weight is None else units_in(hit[weight])
            tally = self.tallies[each]
            count = None if tally is None else tally.of(hit[tally.place])
            plan = None if count is None else count.plan
            refused = self.ledgers[each].decide(now, [hit[self._places[each]]], cost, plan)
            if count is not None:
                count.requests += 1
                count.refused += refused
            if refused:
                return True
        return False

    def _route(self, hit: Hit) -> list[int]:
        """The throttles that apply to a request, by their places."""
        request = hit[-2:]
        self.pathless += request[1] is None
        return self._routes.places(request)


def _tally(tiers: TierField | None, wanted: Wanted) -> TierTally | None:
    return None if tiers is None else TierTally(tiers, wanted.selectors.index(tiers.selector))


def units_in(value: bytes | int | None) -> int:
    """The units that a field holds: a number of at least 0, rounded up; none where there is no number."""
    if value is None or isinstance(value, int):
        return value or 0
    if value.isdigit():
        return int(value[:_DIGITS])
    try:
        return max(ceil(float(value)), 0)
    except (ValueError, OverflowError):
        return 0


def _text(part: bytes | None) -> str:
    """A method or path as a rule sees it; one that could not be read is empty."""
    return "" if part is None else part.decode("utf-8", "replace")
