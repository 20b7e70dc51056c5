"""The record of a decision: a plain, immutable value."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from traffik.model.decisions import FORBIDDEN, UNAVAILABLE, UNBOUNDED, Decision

__all__ = [
    "CHARGE_ALWAYS",
    "HIT",
    "OUTCOMES",
    "REFUND",
    "RESERVE",
    "SILENT",
    "TAKE_SOME",
    "TRIAL",
    "WAIT",
    "DecisionEvent",
    "outcome_of",
]

HIT: Final = "hit"
WAIT: Final = "wait"
RESERVE: Final = "reserve"
TAKE_SOME: Final = "take"
"""The `action` of a `take_up_to`."""
REFUND: Final = "refund"
CHARGE_ALWAYS: Final = "charge"

TRIAL: Final = "trial"
"""What recorders get as the action of a hit that a shadow decides on. Events say ``"hit"``, and `shadow` is True."""

SILENT: Final = ""
"""The action of a decision that changes nothing, such as that of a check. It is not recorded."""

OUTCOMES: Final = ("admitted", "refused", "unavailable", "denied", "exempted", "refunded", "charged")
"""Every outcome, in the order in which they are counted."""


class DecisionEvent(NamedTuple):
    """One decision of one throttle or limiter.

    Attributes:
        uid: of the throttle or limiter.
        decision: the whole decision.
        cost: units that the hit asked for; of a refund or charge, the units that moved.
        when: µs since 1970, by the clock of this process.
        action: the call: ``"hit"``, ``"wait"``, ``"reserve"``, ``"take"`` (`take_up_to`), ``"refund"`` or ``"charge"``.
        policy: the name of the policy that binds, as the RateLimit header field has it; None if nothing was counted.
        key: a keyed hash of the client's key, for a subscription with a secret; None otherwise.
        shadow: whether a shadow made the decision, so that it refuses no request.
    """

    uid: str
    decision: Decision
    cost: int
    when: int
    action: str = HIT
    policy: str | None = None
    key: str | None = None
    shadow: bool = False

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`.

        - ``"admitted"`` and ``"refused"``: by the quota.
        - ``"unavailable"``: refused, since the store does not answer.
        - ``"denied"``: refused, since the identifier returned `DENIED`.
        - ``"exempted"``: admitted without counting: the identifier returned `EXEMPTED`, or the rate is unlimited.
        - ``"refunded"`` and ``"charged"``: units were given back, or charged in any case.
        """
        return OUTCOMES[outcome_of(self.decision, self.action)]

    @property
    def remaining(self) -> int:
        """The quota left, in units."""
        return self.decision.remaining

    @property
    def wait(self) -> int:
        """µs until the same cost is admitted; 0 if it is."""
        return self.decision.retry_after

    @property
    def degraded(self) -> str | None:
        """Why the decision is not exact, as in `Decision.degraded`; None if it is."""
        return self.decision.degraded

    def as_dict(self) -> dict[str, Any]:
        """The event as plain values, for JSON and structured logs."""
        return {
            "uid": self.uid,
            "policy": self.policy,
            "action": self.action,
            "outcome": self.outcome,
            "cost": self.cost,
            "limit": self.decision.limit,
            "remaining": self.remaining,
            "wait_us": self.wait,
            "degraded": self.degraded,
            "shadow": self.shadow,
            "key": self.key,
            "when_us": self.when,
        }


def outcome_of(decision: Decision, action: str) -> int:
    """The place in `OUTCOMES` of a decision."""
    if action == REFUND:
        return 5
    if action == CHARGE_ALWAYS:
        return 6
    if decision.allowed:
        return 4 if decision.limit == UNBOUNDED and decision.degraded is None else 0
    if decision.degraded == UNAVAILABLE:
        return 2
    return 3 if decision.degraded == FORBIDDEN else 1
