"""The data of the page, as values for JSON: the reports of all workers added up, and the state of this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from traffik.live.histories import BUCKET_SECONDS, add_up
from traffik.model.descriptions import describe

if TYPE_CHECKING:
    from traffik.limits.limit import Limit
    from traffik.notices import Notice

__all__ = ["add_reports", "describe_limits", "describe_notices", "describe_store"]

_CLIENTS: Final = 25


def add_reports(reports: Sequence[Mapping[str, Any]], seconds: int, now: float) -> dict[str, Any]:
    """The sum of the reports of several workers."""
    series = add_up([each["series"] for each in reports], seconds, now)
    return {
        "workers": len(reports),
        "series": {
            "start": series[0].start,
            "step": BUCKET_SECONDS,
            "admitted": [each.admitted for each in series],
            "refused": [each.refused for each in series],
        },
        "counts": _throttles([each["throttles"] for each in reports]),
        "clients": _clients([each["clients"] for each in reports]),
    }


def describe_limits(limits: Iterable[Limit], counts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The limits of this process with what all workers have counted of them; then those that only others have."""
    found: dict[str, dict[str, Any]] = {}
    for limit in limits:
        rates = "; ".join(map(str, limit.own_plan.rates)) or "unlimited"
        found[limit.uid] = {
            "throttle": limit.uid,
            "rate": f"from {limit.rating.name}" if limit.rating else rates,
            "strategy": describe(limit.strategy).partition("(")[0],
            "store": "the application's" if limit._store is None else limit._store.kind,
            "enabled": limit.enabled,
            "shadow": limit.in_shadow,
        }
    for uid in counts.keys() - found.keys():
        found[uid] = {"throttle": uid, "rate": "", "strategy": "", "store": "", "enabled": True, "shadow": False}
    nothing = _throttles([])["-"]
    return [{**each, **counts.get(uid, nothing)} for uid, each in sorted(found.items())]


def describe_store(store: Any, shared: bool) -> dict[str, Any]:
    """A store of this process: its breaker, and how many decisions were not exact."""
    spared = store.spared
    return {
        "store": f"{store.kind}, namespace {store.namespace}",
        "breaker": "none" if spared is None else "open" if spared else "closed",
        "degraded": dict(getattr(store, "degraded", {})),
        "shared": shared,
    }


def describe_notices(notices: Iterable[Notice]) -> list[dict[str, str]]:
    """The notices of this process."""
    return [{"id": each.id, "about": each.about, "sentence": each.sentence, "page": each.page} for each in notices]


class _Sums(dict[str, dict[str, Any]]):
    def __missing__(self, uid: str) -> dict[str, Any]:
        made = self[uid] = {
            "admitted": 0,
            "refused": 0,
            "unavailable": 0,
            "trials": [0, 0],
            "degraded": Counter[str](),
            "per_second": [0.0, 0.0],
        }
        return made


def _throttles(counts: Iterable[Mapping[str, Mapping[str, Any]]]) -> _Sums:
    sums = _Sums()
    for uid, one in ((uid, one) for each in counts for uid, one in each.items()):
        whole = sums[uid]
        for name in ("admitted", "refused", "unavailable"):
            whole[name] += one[name]
        for name in ("trials", "per_second"):
            whole[name] = [round(a + b, 3) for a, b in zip(whole[name], one[name], strict=True)]
        whole["degraded"].update(one["degraded"])
    return sums


def _clients(clients: Iterable[Iterable[Sequence[Any]]]) -> list[dict[str, Any]]:
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for uid, mark, label, count, error in (one for each in clients for one in each):
        whole = sums.setdefault(
            (uid, mark), {"throttle": uid, "client": mark, "label": label, "refused": 0, "error": 0}
        )
        whole["refused"] += count
        whole["error"] += error
    return sorted(sums.values(), key=lambda each: -each["refused"])[:_CLIENTS]
