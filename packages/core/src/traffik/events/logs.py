"""Events as log records of the standard `logging`, with extra fields."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from traffik.events.records import OUTCOMES, DecisionEvent

__all__ = ["EventLog"]

_FAULTS: Final = frozenset({"unavailable"})


class EventLog:
    """A listener that logs events: ``subscribe(EventLog(), sample=0.01)``.

    Each record has the extra fields ``traffik_uid``, ``traffik_policy``, ``traffik_action``, ``traffik_outcome``,
    ``traffik_cost``, ``traffik_limit``, ``traffik_remaining``, ``traffik_wait_us``, ``traffik_degraded``,
    ``traffik_shadow``, ``traffik_key`` and ``traffik_when_us``. The level is WARNING if the store did not answer.

    Args:
        logger: the logger; ``traffik.decisions`` if None.
        outcomes: which outcomes to log; all but those that admit if None.
        level: of the records, as `logging` has it.

    Raises:
        ValueError: there is no such outcome.
    """

    def __init__(
        self,
        logger: logging.Logger | None = None,
        *,
        outcomes: Collection[str] | None = None,
        level: int = logging.INFO,
    ) -> None:
        self.logger = logging.getLogger("traffik.decisions") if logger is None else logger
        self.outcomes = frozenset(("refused", "unavailable", "denied") if outcomes is None else outcomes)
        self.level = level
        unknown = self.outcomes - set(OUTCOMES)
        if unknown:
            raise ValueError(f"outcomes are a set of {', '.join(OUTCOMES)}, not {outcomes!r}")

    def __call__(self, event: DecisionEvent) -> None:
        """Log one event."""
        outcome = event.outcome
        if outcome in self.outcomes:
            level = max(self.level, logging.WARNING) if outcome in _FAULTS else self.level
            extra = {f"traffik_{name}": value for name, value in event.as_dict().items()}
            self.logger.log(level, "%s %s %s of cost %d", event.uid, outcome, event.action, event.cost, extra=extra)

    def __repr__(self) -> str:
        return f"EventLog({self.logger.name!r}, outcomes={sorted(self.outcomes)}, level={self.level})"
