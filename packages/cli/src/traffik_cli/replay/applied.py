"""The suggested limits on the requests that they were found in: whom they would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from traffik.model.rates import parse_rates
from traffik.strategies import plan
from traffik_cli.replay.batches import Batch, Hit, Wanted
from traffik_cli.replay.fullest import Integers, RequestArrays
from traffik_cli.replay.history import History
from traffik_cli.replay.scenarios import Applies, Scenario, Trial
from traffik_cli.replay.suggesting import refusable
from traffik_cli.replay.targets import Suggestion

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


def applied(name: str, history: History, arrays: RequestArrays, trials: Mapping[str, Trial], model: Trial) -> Scenario:
    """Decide the requests of a history; those of clients that cannot be refused are only counted.

    Args:
        name: of the scenario.
        history: the requests.
        arrays: the same as arrays.
        trials: throttles by the group that each is for.
        model: a throttle without a limit, which stands there if there is none with one.
    """
    # Each group stands for a path, so that a throttle applies to one group.
    paths = {group: b"%d" % place for place, group in enumerate(dict.fromkeys((*trials, *history.groups)))}
    tried = [replace(each, applies=_only(paths[group]) if any(trials) else None) for group, each in trials.items()]
    selectors = (model.selector,) if model.weight is None else (model.selector, model.weight)
    scenario = Scenario(name, tried or [model], Wanted(selectors, request=any(history.groups)))
    places = {group: place for place, group in enumerate(trials)}
    owners = np.fromiter((places.get(group, -1) for group in history.groups), np.int64, arrays.count)
    chosen = np.zeros(arrays.count, np.bool_)
    for place, trial in enumerate(tried):
        chosen |= (owners == place) & refusable(arrays, trial)
    _enter(scenario, history, np.where(chosen, 0, arrays.requests()), owners if tried else owners + 1)
    requests = [(b"", paths[group]) for group in history.groups]
    for times, mine in arrays.beside(chosen):
        hits = _hits(scenario.wanted, history, arrays, mine)
        if scenario.wanted.request:
            hits = [(*hit, *requests[each]) for hit, each in zip(hits, arrays.clients[mine].tolist(), strict=True)]
        scenario.decide_all(Batch(arrays.at(mine).tolist(), hits), times.tolist())
    return scenario


def _hits(wanted: Wanted, history: History, arrays: RequestArrays, positions: Integers) -> list[Hit]:
    keys = [history.names[each] for each in arrays.clients[positions].tolist()]
    if wanted.bare:
        return keys
    return (
        [(key,) for key in keys]
        if arrays.costs is None
        else list(zip(keys, arrays.costs[positions].tolist(), strict=True))
    )


def _enter(scenario: Scenario, history: History, requests: Integers, places: Integers) -> None:
    """Enter all clients in the order in which they came, with the requests that are not decided."""
    counts = requests.tolist()
    for client in np.flatnonzero(places >= 0).tolist():
        scenario.ledgers[places[client]].count(history.names[client], counts[client])


def _only(place: bytes) -> Applies:
    return lambda method, path: path == place.decode()  # noqa: ARG005 - the seam of rules
