"""Events as log records of the standard `logging`, with extra fields."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traffik.events.records import DecisionEvent

__all__ = ["EventLog"]


class EventLog:
    """A listener that logs each event it gets: ``subscribe(EventLog(), outcomes=["refused"], sample=0.01)``.

    Each record has extra fields: those of `DecisionEvent.as_dict`, with ``traffik_`` before their names.

    Args:
        logger: the logger; ``traffik.decisions`` if None.
        level: of the records, as `logging` has it; WARNING at least if the store does not answer.
    """

    def __init__(self, logger: logging.Logger | None = None, *, level: int = logging.INFO) -> None:
        self.logger: logging.Logger = logging.getLogger("traffik.decisions") if logger is None else logger
        self.level = level

    def __call__(self, event: DecisionEvent) -> None:
        """Log one event."""
        level = max(self.level, logging.WARNING) if event.outcome == "unavailable" else self.level
        text = f"{event.uid}: {event.outcome} {event.action} of cost {event.cost}, {event.remaining} left"
        if event.wait:
            text += ", never admitted" if event.decision.never else f", wait {event.wait / 1e6} s"
        if event.shadow:
            text += ", on trial"
        extra = {f"traffik_{name}": value for name, value in event.as_dict().items()}
        self.logger.log(level, "%s", text, extra=extra)

    def __repr__(self) -> str:
        return f"EventLog({self.logger.name!r}, level={self.level})"
