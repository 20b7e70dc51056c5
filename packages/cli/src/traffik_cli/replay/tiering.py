"""The tier of each request, such as its client's plan: a field of the log names it, and its rates count.

As in production, what a client has used follows it to another tier. Requests without a name, or with an unknown one,
are in the default tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from traffik.limits.tiers import in_place
from traffik.model.errors import ConfigurationError
from traffik.strategies import Plan, plan
from traffik.throttles.entries import LimitEntry
from traffik_cli.replay.selectors import Selector, selector

__all__ = ["TierCount", "TierField", "TierTally", "is_field", "plan_in", "tier_field"]

_FIELD: Final = "field:"
_MOST: Final = 1_000
"""How many names are counted separately."""

_OTHERS: Final = "other names"
_KNOWN: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class TierField:
    """A throttle whose requests are each in the tier that a field of the log names.

    Attributes:
        uid: of the throttle.
        selector: the field.
        plans: the rates of each tier, made ready.
        default: the tier of requests without a name, or with an unknown one; None if there must be none of these.
    """

    uid: str
    selector: Selector
    plans: Mapping[str, Plan]
    default: str | None

    @property
    def rates(self) -> str:
        """The rates of all tiers as text."""
        return ", ".join(f"{name} {_rates(each)}" for name, each in self.plans.items())

    def tier_of(self, name: str | None) -> str:
        """The tier of requests with this name.

        Raises:
            ConfigurationError: there is none, and no default.
        """
        if name is not None and name in self.plans:
            return name
        if self.default is None:
            said = f"has no {self.selector.name}" if name is None else f"has the {self.selector.name} {name!r}"
            raise ConfigurationError(
                f"a request of the log {said}, which is none of the tiers of {self.uid!r} ({', '.join(self.plans)}): "
                f"add it to [throttle.tiers], or give a default_tier"
            )
        return self.default


@dataclass(slots=True)
class TierCount:
    """Requests with one name.

    Attributes:
        name: the name in the log; None for requests without one.
        tier: the tier that they were counted in.
        plan: its rates.
        requests: all there were.
        refused: those refused.
    """

    name: str | None
    tier: str
    plan: Plan
    requests: int = 0
    refused: int = 0

    @property
    def rates(self) -> str:
        """The rates as text."""
        return _rates(self.plan)


@dataclass(slots=True)
class TierTally:
    """Finds the tiers of requests, and counts.

    Args:
        tiers: the throttle's.
        place: the place of its field in hits.
    """

    tiers: TierField
    place: int
    counts: dict[tuple[str | None, str], TierCount] = field(default_factory=dict)
    _known: dict[bytes | None, TierCount] = field(default_factory=dict)

    def of(self, raw: bytes | None) -> TierCount:
        """The requests that have the same name as one whose field holds `raw`."""
        found = self._known.get(raw)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            name = None if not raw or raw == b"-" else raw.decode("utf-8", "replace")
            tier = self.tiers.tier_of(name)
            shown = name if len(self.counts) < _MOST or (name, tier) in self.counts else _OTHERS
            found = self.counts.setdefault((shown, tier), TierCount(shown, tier, self.tiers.plans[tier]))
            self._known[raw] = found
        return found


def is_field(tier: str) -> bool:
    """Whether ``--tier`` names a field of the log, and not a tier."""
    return tier.startswith(_FIELD)


def tier_field(entry: LimitEntry, tier: str) -> TierField:
    """The tiers of a throttle, each told by the field that ``--tier field:NAME`` names."""
    plans = {name: _plan(entry, name) for name in entry.tiers}
    return TierField(entry.uid, selector(tier), plans, entry.default_tier)


def plan_in(entry: LimitEntry, tier: str) -> Plan:
    """The rates of a throttle for clients that are all in one tier; those of the default one if it has no such tier.

    Raises:
        ConfigurationError: it has neither.
    """
    name = tier if tier in entry.tiers else entry.default_tier
    if name is None:
        raise ConfigurationError(
            f"{entry.uid!r} has no tier {tier!r}, and no default_tier: give --tier {' or '.join(entry.tiers)}, or the "
            f"field of the log that names the tier: --tier field:NAME"
        )
    return _plan(entry, name)


def _plan(entry: LimitEntry, name: str) -> Plan:
    return plan(entry.strategy, in_place(entry.tiers[name]), varying=True)


def _rates(counted: Plan) -> str:
    return "; ".join(map(str, counted.rates)) or "unlimited"
