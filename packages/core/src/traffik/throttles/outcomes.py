"""The results of a connection's hits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traffik.adapters import adapter_of

if TYPE_CHECKING:
    from traffik.model.decisions import Decision
    from traffik.throttles.throttle import Throttle

__all__ = ["get_wait", "is_throttled"]


def is_throttled(connection: object, throttle: Throttle[Any] | None = None) -> bool:
    """Whether the most recent hit of the connection was refused; False if there was none.

    Args:
        connection: the connection.
        throttle: consider only hits of this throttle.
    """
    decision = _remembered(connection, throttle)
    return decision is not None and not decision.allowed


def get_wait(connection: object, throttle: Throttle[Any] | None = None) -> float:
    """The wait of the most recent hit in milliseconds, rounded up; 0 if it was admitted or there was none.

    Args:
        connection: the connection.
        throttle: consider only hits of this throttle.
    """
    decision = _remembered(connection, throttle)
    return 0.0 if decision is None else decision.wait_ms


def _remembered(connection: object, throttle: Throttle[Any] | None) -> Decision | None:
    memory = adapter_of(connection).memory(connection)
    return next(reversed(memory.values()), None) if throttle is None else memory.get(throttle)
