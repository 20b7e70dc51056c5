"""How the traffic of a throttle has changed between two logs: requests, clients, refusals, and what clients ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from traffik_cli.replay.reports import LimitReport

__all__ = ["CHANGES", "Change", "Demand", "LimitDrift", "drifts_of"]

CHANGES: Final = ("requests", "clients", "refused", "touched", "p50", "p90", "p99", "p99.9", "most")
"""The names of the numbers that are compared."""

_Side: TypeAlias = "tuple[Sequence[LimitReport], Sequence[Demand]]"


@dataclass(frozen=True, slots=True)
class Demand:
    """What clients ask of one throttle in one of its periods.

    Attributes:
        uid: the name of the throttle.
        period: µs.
        quantiles: the requests in the fullest period of a client: p50, p90, p99, p99.9 and the most; empty if there is
            no client.
    """

    uid: str
    period: int
    quantiles: dict[str, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One number in both logs.

    Attributes:
        name: `requests`, `clients`, `refused` (the share of requests), `touched` (the share of clients refused at least
            once), or `p50`, `p90`, `p99`, `p99.9` or `most`: the requests in the fullest period of a client.
        period: the period that these are about, µs; null for other numbers.
        before: the number in the earlier log.
        after: the number in the later log.
        change: the difference as a share of the number before; null if that is 0 and the number after is not.
    """

    name: str
    period: int | None
    before: float
    after: float
    change: float | None


@dataclass(frozen=True, slots=True)
class LimitDrift:
    """What has changed for one throttle.

    Attributes:
        uid: its name.
        rates: as text.
        changes: every number that is compared.
    """

    uid: str
    rates: str
    changes: list[Change]


def drifts_of(before: _Side, after: _Side) -> list[LimitDrift]:
    """What has changed for each throttle, from its report and the demand in both logs; they have the same throttles."""
    return [
        LimitDrift(new.uid, new.rates, [*_counted(old, new), *_asked(new.uid, before[1], after[1])])
        for old, new in zip(before[0], after[0], strict=True)
    ]


def _counted(before: LimitReport, after: LimitReport) -> Iterator[Change]:
    yield _change("requests", None, before.requests, after.requests)
    yield _change("clients", None, before.clients, after.clients)
    yield _change("refused", None, _share(before.refused, before.requests), _share(after.refused, after.requests))
    yield _change("touched", None, _share(before.touched, before.clients), _share(after.touched, after.clients))


def _asked(uid: str, before: Sequence[Demand], after: Sequence[Demand]) -> Iterator[Change]:
    """The percentiles of a throttle, for each of its periods."""
    old = {each.period: each.quantiles for each in before if each.uid == uid}
    for each in after:
        if each.uid == uid:
            names = [name for name in CHANGES if name in each.quantiles or name in old[each.period]]
            for name in names:
                yield _change(name, each.period, old[each.period].get(name, 0), each.quantiles.get(name, 0))


def _change(name: str, period: int | None, before: float, after: float) -> Change:
    relative = (after - before) / before if before else None if after else 0.0
    return Change(name, period, before, after, relative)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
