"""Searches for limits on the requests of a replay: one for each period and each group of requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from traffik.strategies import plan
from traffik_cli.replay.batches import Batch, Wanted
from traffik_cli.replay.drifts import Demand
from traffik_cli.replay.grouping import OTHERS, Grouping, busiest
from traffik_cli.replay.history import History
from traffik_cli.replay.scenarios import Routes, Scenario, Trial, units_in
from traffik_cli.replay.targets import Crests, Suggestion, Target

__all__ = ["LimitSearch", "crests_found", "demands", "recorder", "suggested"]

_GROUPS: Final = 20
"""Groups that have their own limit."""


@dataclass(frozen=True, slots=True)
class LimitSearch:
    """The limits to search for.

    Attributes:
        target: the share that they may refuse.
        periods: the periods of the limits, µs.
        model: their strategy, cost and key. Its rates are not used.
        by: the grouping of requests.
    """

    target: Target
    periods: Sequence[int]
    model: Trial
    by: Grouping = field(default_factory=Grouping)


def recorder(history: History, by: Grouping, model: Trial, wanted: Wanted) -> Callable[[Batch], None]:
    """What keeps those hits that the model applies to, in groups, with what they cost; hits hold what is `wanted`."""
    if model.applies is not None:
        keep, applies = recorder(history, by, replace(model, applies=None), wanted), Routes([model])

        def record_applying(batch: Batch) -> None:
            keep(batch.only([bool(applies.places(hit[-2:])) for hit in batch.hits]))

        return record_applying
    label, weight = by.labels(wanted), model.weight
    place = 0 if wanted.bare else wanted.selectors.index(history.selector)
    heavy = None if weight is None or wanted.bare else wanted.selectors.index(weight)

    def record(batch: Batch) -> None:
        times, hits = batch
        keys = hits if wanted.bare else [hit[place] for hit in hits]
        named = keys if label is None else [(label(hit), key) for hit, key in zip(hits, keys, strict=True)]
        history.add(times, named, () if heavy is None else [units_in(hit[heavy]) for hit in hits])

    return record


def suggested(history: History, search: LimitSearch, there: Collection[str]) -> tuple[list[Suggestion], list[Scenario]]:
    """The suggested limits with their results, except those that are already among the scenarios."""
    from traffik_cli.replay.applied import applied, trials_suggested
    from traffik_cli.replay.fullest import arrays_of
    from traffik_cli.replay.suggesting import suggest

    groups = _groups(history)
    history = history.regrouped(groups)
    arrays = arrays_of(history)
    found = [
        suggest(arrays, history, search.target, search.model, period, group)
        for group in dict.fromkeys(groups.values())
        for period in search.periods
    ]
    trials = trials_suggested(found, search.model)
    rates = ["; ".join(map(str, trial.plan.rates)) for trial in trials.values()]
    name = "unlimited" if not rates else rates[0] if not any(trials) else "the suggested limits"
    if name in there or (there and not trials):
        return found, []
    unlimited = replace(search.model, plan=plan(search.model.plan.strategy, ()))
    return found, [applied(name, history, arrays, trials, unlimited)]


def demands(histories: Sequence[tuple[Trial, History]]) -> list[Demand]:
    """What clients ask of each throttle, from the requests it applies to."""
    from traffik_cli.replay.suggesting import demand_of

    return [demand for trial, history in histories for demand in demand_of(history, trial)]


def crests_found(history: History, model: Trial, suggestions: Sequence[Suggestion]) -> list[Crests]:
    """The clients by their fullest periods, for each period of a suggestion or of the given limit."""
    from traffik_cli.replay.suggesting import crests_of

    if any(history.groups):
        return []
    if suggestions:
        return [Crests(each.period, each.peaks) for each in suggestions]
    return [crests_of(history, rate.period) for rate in model.plan.rates]


def _groups(history: History) -> dict[str, str]:
    """The group in which each group is counted: the busiest ones separately, and all others as one."""
    if not any(history.groups):
        return {"": ""}
    requests: Counter[str] = Counter()
    for client, count in Counter(history.clients).items():
        requests[history.groups[client]] += count
    kept = busiest(requests, _GROUPS)
    return dict(sorted(kept.items(), key=lambda pair: (pair[1] == OTHERS, -requests[pair[0]])))
