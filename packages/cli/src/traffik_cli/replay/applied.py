"""The suggested limits on the requests that they were found in: whom they would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from traffik.model.rates import parse_rates
from traffik.strategies import plan
from traffik_cli.replay.batches import Hit, Wanted
from traffik_cli.replay.fullest import Columns, Numbers
from traffik_cli.replay.history import History
from traffik_cli.replay.scenarios import Applies, Scenario, Trial
from traffik_cli.replay.suggesting import refusable
from traffik_cli.replay.targets import Suggestion

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["applied", "trials_suggested"]


def trials_suggested(suggestions: Sequence[Suggestion], model: Trial) -> dict[str, Trial]:
    """The throttles that are suggested, by the group of requests that each is for.

    Limits of one group for several periods are one throttle. A group without a suggestion has none.
    """
    rates: dict[str, list[str]] = {}
    for each in suggestions:
        if each.rate is not None:
            rates.setdefault(each.group, []).append(each.rate)
    return {
        group: replace(model, uid=group or model.uid, plan=plan(model.plan.strategy, parse_rates(found)))
        for group, found in rates.items()
    }


def applied(name: str, history: History, columns: Columns, trials: Mapping[str, Trial], model: Trial) -> Scenario:
    """Decide the requests of a history; those of clients that cannot be refused are only counted.

    Args:
        name: of the scenario.
        history: the requests.
        columns: the same as arrays.
        trials: throttles by the group that each is for.
        model: a throttle without a limit, which stands there if there is none with one.
    """
    # To the throttles a group is a path of its own.
    paths = {group: str(place) for place, group in enumerate(dict.fromkeys((*trials, *history.groups)))}
    tried = [replace(trial, applies=_only(paths[group]) if any(trials) else None) for group, trial in trials.items()]
    grouped = any(history.groups)
    scenario = Scenario(name, tried or [model], Wanted((model.selector,), request=grouped))
    places = {group: place for place, group in enumerate(trials)}
    chosen = np.zeros(columns.count, np.bool_)
    groups = np.fromiter((places.get(group, -1) for group in history.groups), np.int64, columns.count)
    for place, trial in enumerate(tried):
        chosen |= (groups == place) & refusable(columns, trial)
    _idle(scenario, history, columns.requests(), groups if tried else groups + 1, chosen)
    hits: list[Hit] = list(history.names)
    if grouped:
        hits = [(key, b"", paths[group].encode()) for key, group in zip(history.names, history.groups, strict=True)]
    decided = iter([*columns.only(chosen), (0, [], None)])
    now, clients, _ = next(decided)
    begin = 0
    for instant, end in zip(history.times, history.ends, strict=True):
        if clients and instant == now:
            scenario.decide(instant, [hits[client] for client in clients], end - begin - len(clients))
            now, clients, _ = next(decided)
        else:
            scenario.decide(instant, [], end - begin)
        begin = end
    return scenario


def _idle(scenario: Scenario, history: History, requests: Numbers, places: Numbers, chosen: NDArray[np.bool_]) -> None:
    """Enter all clients in the order in which they came, with the requests of those that are not chosen."""
    idle = np.where(chosen, 0, requests).tolist()
    for client in np.flatnonzero(places >= 0).tolist():
        scenario.ledgers[places[client]].count(history.names[client], idle[client])


def _only(place: str) -> Applies:
    return lambda method, path: path == place  # noqa: ARG005 - the seam of rules
