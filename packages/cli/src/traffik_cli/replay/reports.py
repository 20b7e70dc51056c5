"""What a replay found, as plain values; and the same as JSON has it.

Every time is in µs since the epoch and every wait in µs; names that leave in JSON say their unit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final, TypeAlias

from traffik.model.decisions import NEVER
from traffik_cli.replay.keys import KeyReport, keys_of
from traffik_cli.replay.ledgers import Ledger, Refusals, Tally
from traffik_cli.replay.scenarios import Scenario, Trial
from traffik_cli.replay.tiering import TierTally
from traffik_cli.replay.timeline import Peak, Stretch
from traffik_cli.replay.trials import UNNAMED

__all__ = ["WORST", "Bin", "LimitReport", "Longest", "ScenarioReport", "TierReport", "Worst", "report_of"]

WORST: Final = 20
"""Worst-hit clients of a throttle that a report holds by itself."""


@dataclass(frozen=True, slots=True)
class Worst:
    """A key that was refused.

    Attributes:
        key: as it stands in the log, an address grouped.
        requests: all its requests.
        refused: those refused.
        first: the first refusal, µs since the epoch.
        last: the last.
        longest_wait: the longest wait it was told, µs; None if some request can never be admitted.
        by: refusals by rate.
    """

    key: str
    requests: int
    refused: int
    first: int
    last: int
    longest_wait: int | None
    by: dict[str, int]


@dataclass(frozen=True, slots=True)
class Longest:
    """The longest wait that a client was told.

    Attributes:
        wait: µs.
        key: whose it was.
        at: when, µs since the epoch.
    """

    wait: int
    key: str
    at: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Clients with about as many requests.

    Attributes:
        least: requests of each at least.
        most: at most.
        clients: how many.
        touched: how many of them were refused at least once.
    """

    least: int
    most: int
    clients: int
    touched: int


@dataclass(frozen=True, slots=True)
class TierReport:
    """The requests for which the log names one tier.

    Attributes:
        name: the name in the log; None for requests without one.
        tier: the tier that they were counted in, which is the default one for an unknown name.
        rates: its rates, as text.
        requests: all there were.
        refused: those refused.
    """

    name: str | None
    tier: str
    rates: str
    requests: int
    refused: int


@dataclass(frozen=True, slots=True)
class LimitReport:
    """What one throttle did.

    Attributes:
        uid: its name.
        rates: as text; with tiers, those of each.
        strategy: the algorithm.
        key: whose quota it is.
        requests: those it decided on.
        refused: those it refused.
        refused_by: the same by rate.
        clients: the keys it saw.
        exact: whether those could be told apart to the end; if not, `clients` and `touched` are at most so many.
        touched: clients that were refused at least once.
        keyless: requests without a key, not limited.
        keys: what its keys are.
        longest: the longest wait; None if nothing was refused, or only for good.
        never: whether something was refused that can never be admitted.
        worst: the worst-hit clients, worst first.
        sizes: clients by their number of requests.
        tiers: the requests by the name of a tier in the log; empty if the log was not asked for it.
    """

    uid: str
    rates: str
    strategy: str
    key: str
    requests: int
    refused: int
    refused_by: dict[str, int]
    clients: int
    exact: bool
    touched: int
    keyless: int
    keys: KeyReport
    longest: Longest | None
    never: bool
    worst: list[Worst]
    sizes: list[Bin]
    tiers: list[TierReport] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its uid, if it has one, and its rates."""
        return self.rates if self.uid == UNNAMED else f"{self.uid}, {self.rates}"


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """What became of the traffic under some throttles.

    Attributes:
        name: what it is called.
        requests: all there were.
        pathless: those without a path; None if no rule looks at paths.
        refused: those refused.
        clients: of all its throttles, each once; at most so many where a throttle could not tell them apart.
        touched: those that some throttle refused at least once; at most so many, again.
        first: the first request, µs since the epoch; None if there was none.
        last: the last.
        step: how long a step of `steps` is, µs.
        steps: what happened when.
        second: the busiest second.
        minute: the busiest minute.
        limits: what each throttle did.
        suggested: whether its limits were found by this replay, and not given.
    """

    name: str
    requests: int
    pathless: int | None
    refused: int
    clients: int
    touched: int
    first: int | None
    last: int | None
    step: int
    steps: list[Stretch]
    second: Peak
    minute: Peak
    limits: list[LimitReport]
    suggested: bool = False


def report_of(scenario: Scenario, worst: int = WORST, *, suggested: bool = False) -> ScenarioReport:
    """What `scenario` has found so far, with so many of the worst-hit clients; its limits were given or `suggested`."""
    timeline = scenario.timeline
    steps = timeline.steps()
    limits = [
        _limit(*each, worst)
        for each in zip(scenario.trials, scenario.ledgers, map(_tiers, scenario.tallies), strict=True)
    ]
    clients, touched = (limits[0].clients, limits[0].touched) if len(limits) == 1 else _once(scenario.ledgers)
    return ScenarioReport(
        name=scenario.name,
        requests=scenario.requests,
        pathless=scenario.pathless if scenario.wanted.request else None,
        refused=scenario.refused,
        clients=clients,
        touched=touched,
        first=timeline.first,
        last=None if timeline.first is None else timeline.last,
        step=timeline.step,
        steps=steps,
        second=timeline.second,
        minute=timeline.minute,
        limits=limits,
        suggested=suggested,
    )


def _once(ledgers: list[Ledger]) -> tuple[int, int]:
    """How many clients there were, and how many of them were refused; folded ones may be counted twice."""
    clients: set[bytes] = set()
    touched: set[bytes] = set()
    for ledger in ledgers:
        for key, entry in ledger.entries():
            clients.add(key)
            if entry.refusals is not None:
                touched.add(key)
    folded = [ledger.folded for ledger in ledgers]
    return len(clients) + sum(each.keys for each in folded), len(touched) + sum(each.touched for each in folded)


def _tiers(tally: TierTally | None) -> list[TierReport]:
    counts = [] if tally is None else sorted(tally.counts.values(), key=lambda each: -each.requests)
    return [TierReport(each.name, each.tier, each.rates, each.requests, each.refused) for each in counts]


def _limit(trial: Trial, ledger: Ledger, tiers: list[TierReport], worst: int) -> LimitReport:
    entries = ledger.entries()
    counts = [entry.requests for _, entry in entries]
    hit = [(key, entry, entry.refusals) for key, entry in entries if entry.refusals is not None]
    by: Counter[str] = Counter(ledger.folded.refusals)
    for _, _, refusals in hit:
        by.update(refusals.by)
    wait, key, at = ledger.longest
    return LimitReport(
        uid=trial.uid,
        rates=trial.rates,
        strategy=repr(trial.plan.strategy),
        key=str(trial.selector),
        requests=ledger.requests,
        refused=by.total(),
        refused_by=dict(sorted(by.items())),
        clients=len(entries) + ledger.folded.keys,
        exact=not ledger.folded.keys,
        touched=len(hit) + ledger.folded.touched,
        keyless=ledger.keyless,
        keys=keys_of(entries, counts),
        longest=Longest(wait, _text(key), at) if wait else None,
        never=ledger.never,
        worst=[_worst(*each) for each in nlargest(worst, hit, key=_badness)],
        sizes=_sizes(counts, hit, ledger),
        tiers=tiers,
    )


_Hit: TypeAlias = tuple[bytes, Tally, Refusals]


def _badness(hit: _Hit) -> tuple[int, int, bytes]:
    key, entry, refusals = hit
    return refusals.count, entry.requests, key


def _worst(key: bytes, entry: Tally, refusals: Refusals) -> Worst:
    wait = None if refusals.longest == NEVER else refusals.longest
    by = dict(sorted(refusals.by.items()))
    return Worst(_text(key), entry.requests, refusals.count, refusals.first, refusals.last, wait, by)


def _sizes(counts: list[int], hit: list[_Hit], ledger: Ledger) -> list[Bin]:
    clients: Counter[int] = Counter(ledger.folded.sizes)
    touched: Counter[int] = Counter(ledger.folded.touched_sizes)
    for requests, count in Counter(counts).items():
        clients[requests.bit_length()] += count
    touched.update(entry.requests.bit_length() for _, entry, _ in hit)
    return [Bin(1 << bits - 1, (1 << bits) - 1, clients[bits], touched[bits]) for bits in sorted(clients)]


def _text(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")
