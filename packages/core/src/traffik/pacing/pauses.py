"""The pauses that servers have asked for: until when nothing is sent, for each key of a limiter, in this process."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

from traffik.limits import timing
from traffik.limits.limiter import Limiter

__all__ = ["Pauses", "pauses_of"]

_MOST: Final = 4096
"""Keys that pause at the same time; beyond, those are forgotten whose pause ends first."""


class Pauses:
    """The pauses of one limiter, shared by all its clients."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[str, int] = {}

    def left(self, key: str) -> int:
        """µs until `key` may be used; 0 if it may be now."""
        until = self._until.get(key)
        if until is None:
            return 0
        left = until - timing.now()
        if left > 0:
            return left
        self._until.pop(key, None)
        return 0

    def extend(self, key: str, wait: int) -> None:
        """Do not use `key` for `wait` µs from now; a pause that ends later stays."""
        until = timing.now() + wait
        if wait > 0 and until > self._until.get(key, 0):
            self._until[key] = until
            if len(self._until) > _MOST:
                self._forget()

    def _forget(self) -> None:
        """Drop the half of the pauses that ends first."""
        for key, _ in sorted([*self._until.items()], key=lambda pair: pair[1])[: _MOST // 2]:
            self._until.pop(key, None)


def pauses_of(limiter: Limiter) -> Pauses:
    """The pauses of `limiter`."""
    found = _pauses.get(limiter)
    return _pauses.setdefault(limiter, Pauses()) if found is None else found


_pauses: Final[WeakKeyDictionary[Limiter, Pauses]] = WeakKeyDictionary()
