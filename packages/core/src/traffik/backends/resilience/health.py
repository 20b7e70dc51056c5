"""The health of a store: a failure is logged once, and so is the recovery, even if many hits fail in between.

It reports calls to the breaker. `traffik.backends.resilience.failures` decides on the hits in the meantime.
"""

from __future__ import annotations

import time
from contextlib import suppress
from logging import Logger
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from traffik.backends.resilience.breaker import Circuit
    from traffik.model.errors import BackendError

__all__ = ["Health"]

_QUIET: Final = 10.0
"""Seconds after a logged problem during which no other is logged."""


class Health:
    """The health of one store.

    Args:
        circuit: its breaker.
        log: the log for its messages.
    """

    __slots__ = ("_circuit", "_log", "_quiet_until", "_unwell")

    def __init__(self, circuit: Circuit, log: Logger) -> None:
        self._circuit = circuit
        self._log = log
        self._unwell = False
        self._quiet_until = 0.0

    def mention(self, store: object, error: BackendError) -> None:
        """Log an error of a `store` that works otherwise, unless one was logged a short time ago."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            self._warn("%r: %s", store, error)

    def report(self, store: object, error: BackendError | None) -> None:
        """Note the result of a call to `store`, and log a change of its health."""
        if error is None:
            self._circuit.succeeded()
            if self._unwell:
                self._unwell = False
                self._warn("%r answers again", store)
            return
        now = time.monotonic()
        if not self._unwell and now >= self._quiet_until:
            self._unwell, self._quiet_until = True, now + _QUIET
            self._warn("%r does not answer as it should: %s", store, error)
        if self._circuit.failed(now) and self._unwell:
            self._warn("%r is not called for %s s", store, self._circuit.breaker.recovery)

    def _warn(self, message: str, *arguments: object) -> None:
        with suppress(Exception):  # from a handler of the log; callers still wait for the decisions on their hits
            self._log.warning(message, *arguments)
