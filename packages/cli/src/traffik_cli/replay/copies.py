"""Whether every request stands in the logs several times: a file was given twice, or lines were written twice.

Copies of a request have one instant and one key. If the requests of each key at each instant can be divided by one
number, there are so many copies of each. In nearly all logs the first few requests show that there are none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import gcd
from typing import Final

from traffik_cli.replay.batches import Batch, Hit

__all__ = ["Copies"]

_LEAST: Final = 10
"""Instants with a request from which on copies are no chance."""


@dataclass(slots=True)
class Copies:
    """Looks for copies in batches, which come in the order of time."""

    _times: int = 0
    _instants: int = 0
    _now: int = -1
    _at: Counter[Hit] = field(default_factory=Counter)
    _first: Hit = None
    _several: bool = False

    def look(self, batch: Batch) -> None:
        """Look at some more requests."""
        if self._times == 1:
            return
        for now, hit in zip(*batch, strict=True):
            if now != self._now:
                self._settle()
                self._now = now
                if self._times == 1:
                    return
            self._at[hit] += 1

    def found(self) -> int:
        """How often each request stands in the logs; 1 if only one client or few requests could say it."""
        self._settle()
        return self._times if self._several and self._instants >= _LEAST else 1

    def _settle(self) -> None:
        """Count the requests of an instant that is over."""
        if not self._at:
            return
        self._times = gcd(self._times, *self._at.values())
        self._instants += 1
        self._first = self._first or next(iter(self._at))
        self._several = self._several or len(self._at) > 1 or self._first not in self._at
        self._at.clear()
