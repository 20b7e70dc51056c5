"""One client in a replay: its minutes, its paths, its refusals and waits, and a sentence to send it.

Clients do not share quota, so one can be decided by itself; each of its requests meets the throttles in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from traffik.model.decisions import NEVER, Decision
from traffik_cli.replay.batches import Batch, Hit, Wanted
from traffik_cli.replay.grouping import path_template
from traffik_cli.replay.scenarios import Scenario, Trial
from traffik_cli.replay.selectors import Selector, header_key, identity_in

__all__ = ["ClientReport", "Minute", "Refusal", "Route", "Trace"]

_MINUTE: Final = 60_000_000
_REFUSALS: Final = 100
"""Refusals that are kept one by one."""

_PATHS: Final = 10_000
"""How many kinds of requests, by method and path, are counted separately."""

_OTHERS: Final = "other requests"
_KNOWN: Final = 500_000


@dataclass(slots=True)
class Minute:
    """A minute of a client.

    Attributes:
        at: when it began, µs since the epoch.
        requests: all there were.
        refused: those refused.
    """

    at: int
    requests: int = 0
    refused: int = 0


@dataclass(slots=True)
class Route:
    """Requests of a client that have the same method and path.

    Attributes:
        request: method and path, with ``*`` for numbers and identifiers.
        requests: all there were.
        refused: those refused.
    """

    request: str
    requests: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused request.

    Attributes:
        at: when, µs since the epoch.
        request: method and path, with ``*`` for numbers and identifiers.
        throttle: the uid of the throttle that refused it.
        rate: the rate that did.
        wait: how long it was to wait, µs; None if it can never be admitted.
    """

    at: int
    request: str
    throttle: str
    rate: str
    wait: int | None


@dataclass(frozen=True, slots=True)
class ClientReport:
    """What one client did.

    Attributes:
        client: the key that was asked about.
        requests: all its requests.
        refused: those refused.
        first: the first request, µs since the epoch; None if there was none.
        last: the last.
        minutes: those with a request, in order.
        paths: the requests by method and path, those with most requests first.
        refusals: the first hundred refusals.
        longest: the longest wait, µs; None if nothing was refused, or only for good.
    """

    client: str
    requests: int
    refused: int
    first: int | None
    last: int | None
    minutes: list[Minute]
    paths: list[Route]
    refusals: list[Refusal]
    longest: int | None


@dataclass(slots=True)
class Trace:
    """Follows one client.

    Args:
        client: its key: an address, a user, or the value of a header.
        trials: the throttles, in the order in which they are asked.
    """

    client: str
    trials: Sequence[Trial]
    minutes: dict[int, Minute] = field(default_factory=dict)
    paths: dict[str, Route] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    longest: int | None = None
    _first: int | None = None
    _last: int | None = None
    _known: dict[tuple[Selector, Hit], bool] = field(default_factory=dict)

    def follower(self, wanted: Wanted) -> Callable[[Batch], None]:
        """What decides those of the hits that are the client's; hits hold what is `wanted`, method and path too."""
        scenario = Scenario(self.client, self.trials, wanted)
        chosen = dict.fromkeys(trial.selector for trial in self.trials)
        places = [(wanted.selectors.index(each), each) for each in chosen]

        def follow(batch: Batch) -> None:
            for now, hit in zip(*batch, strict=True):
                if any(self._is_client(hit[place], selector) for place, selector in places):
                    self._decide(scenario, now, hit)

        return follow

    def report(self) -> ClientReport:
        """What the client did so far."""
        minutes = list(self.minutes.values())
        return ClientReport(
            self.client,
            sum(minute.requests for minute in minutes),
            sum(minute.refused for minute in minutes),
            self._first,
            self._last,
            minutes,
            sorted(self.paths.values(), key=lambda route: (-route.requests, route.request)),
            self.refusals,
            self.longest,
        )

    def _is_client(self, raw: Hit, selector: Selector) -> bool:
        found = self._known.get((selector, raw))
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            mine = self.client.encode()
            names = {mine, identity_in(selector, mine)}
            if selector.kind == "header":
                names.add(header_key(selector.name, mine))
            found = self._known[selector, raw] = bool(raw) and identity_in(selector, raw) in names
        return found

    def _decide(self, scenario: Scenario, now: int, hit: Hit) -> None:
        for ledger in scenario.ledgers:
            ledger.refusal = None
        scenario.decide(now, [hit])
        pairs = zip(self.trials, scenario.ledgers, strict=True)
        refusal = next(((trial.uid, each.refusal) for trial, each in pairs if each.refusal is not None), None)
        request = _request(hit)
        self._first = now if self._first is None else self._first
        self._last = now
        at = now // _MINUTE * _MINUTE
        place = request if len(self.paths) < _PATHS else _OTHERS
        counted: Minute | Route
        for counted in (self.minutes.setdefault(at, Minute(at)), self.paths.setdefault(place, Route(place))):
            counted.requests += 1
            counted.refused += refusal is not None
        if refusal is not None:
            self._refused(now, request, *refusal)

    def _refused(self, now: int, request: str, uid: str, decision: Decision) -> None:
        wait = None if decision.retry_after == NEVER else decision.retry_after
        if wait is not None:
            self.longest = max(self.longest or 0, wait)
        if len(self.refusals) < _REFUSALS:
            self.refusals.append(Refusal(now, request, uid, str(decision.rate), wait))


def _request(hit: Hit) -> str:
    method, path = (b"-" if part is None else part for part in hit[-2:])
    return f"{method.decode('utf-8', 'replace')} {path_template(path.decode('utf-8', 'replace'))}"
