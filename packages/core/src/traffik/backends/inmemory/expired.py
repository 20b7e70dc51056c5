"""How the in-memory store frees the memory of expired keys, and copies the states that would keep it in use.

Expired generations are freed a little at each hit, so a hit takes the same time with a hundred keys and a million, and
no hit frees all of them at once.

CPython takes memory from the system in arenas of 1 MiB, and gives one back once nothing in it is alive. What a hit
stores while others are freed lies between them, so a few keys in use would keep most arenas. After many states were
freed and few are left, these are copied, which puts them side by side.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from traffik.backends.inmemory.tables import KeyTable
    from traffik.strategies import State

__all__ = ["Expired"]

_AT_LEAST: Final = 8
"""The fewest keys that one hit frees, if there are any to free."""
_MANY: Final = 10
"""The states are copied after so many times as many were freed."""
_FEW: Final = 1000
"""So many more states count as few in any case, since freeing a few thousand would give no arena back."""
_COPIED: Final = 4
"""The states that one hit copies."""
_TOGETHER: Final = 256
"""The copied states that are freed in one step."""


class Expired:
    """Expired generations, whose keys are freed in proportion to the time that passes.

    Attributes:
        left: the number of keys not freed yet.
    """

    __slots__ = ("_copying", "_freed", "_generations", "_last", "_until", "left")

    def __init__(self) -> None:
        self.left: int = 0
        self._generations: list[dict[str, State]] = []
        self._last = 0
        self._until = 0
        self._freed = 0
        self._copying: Iterator[None] = iter(())

    def add(self, generation: dict[str, State], now: int, span: int) -> None:
        """Add a generation, to be freed until ``now + span``."""
        self._generations.append(generation)
        self.left += len(generation)
        self._freed += len(generation)
        self._last = now
        self._until = max(self._until, now + span)

    def free(self, now: int) -> None:
        """Free the share of the keys that is due at `now`."""
        if now >= self._until or not self.left:
            self._generations.clear()
            self.left = 0
            return
        share = self.left * (now - self._last) // (self._until - self._last) + _AT_LEAST
        self._last = now
        while share > 0 and self._generations:
            generation = self._generations[0]
            if not generation:
                self._generations.pop(0)
                continue
            generation.popitem()
            share -= 1
            self.left -= 1
        if not self.left:
            self._generations.clear()

    def copy_others(self, tables: Iterable[KeyTable], keys: int) -> bool:
        """Copy a few of the states in `tables` if all keys have been freed and few others, `keys`, are left.

        Returns whether there is more to free or to copy.
        """
        if not self.left:
            if self._freed > _MANY * (keys + _FEW):
                self._freed = 0
                self._copying = _copy_each(tuple(tables))
            return len([*islice(self._copying, _COPIED)]) == _COPIED
        return True


def _copy_each(tables: Iterable[KeyTable]) -> Iterator[None]:
    """Replace each state by a copy of it, one at each step, and then free the replaced ones.

    They are not freed sooner, since CPython would put the next copy in the place of a tuple that was just freed.
    """
    replaced: list[State | None] = []
    for table in tables:
        for key in table.all_keys():
            home, state = table.find(key)
            if home is not None and home is not table.overflow:
                home[key] = _copied(state)
                replaced.append(state)
            yield
    while replaced:
        del replaced[-_TOGETHER:]
        yield


def _copied(value: Any) -> Any:
    """A copy of a tuple, with copies of its integers and of the tuples in it. Other values stay the same."""
    if type(value) is tuple:
        # from a generator, since CPython would put a tuple from a list in the place of one that was freed before
        return tuple(_copied(each) for each in value)
    return value + 0 if type(value) is int else value
