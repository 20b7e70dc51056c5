"""Compares the functions that a user gives, also after their module was loaded again.

Two functions are the same if they have the same name and hold the same values: closures, defaults, bound objects and
partial arguments. So two lambdas of one line are different if they close over different values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any, ClassVar, TypeAlias

__all__ = ["Written"]

_Pairs: TypeAlias = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A function that is equal to every other function with the same name and values."""

    function: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written) and _same(self.function, other.function, frozenset())

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # the values it compares may be mutable


def _same(one: Any, other: Any, seen: _Pairs) -> bool:
    """Whether two values are the same. Functions among them are compared as functions."""
    pair = (id(one), id(other))
    if one is other or pair in seen:  # a recursive function closes over itself
        return True
    if type(one) is not type(other):
        return False
    seen |= {pair}
    if isinstance(one, FunctionType | MethodType | partial):
        return all(_same(mine, theirs, seen) for mine, theirs in zip(_parts(one), _parts(other), strict=True))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other, [seen] * len(one)))
    return _equal(one, other)


def _parts(function: Any) -> tuple[Any, ...]:
    if isinstance(function, partial):
        return (function.func, function.args, function.keywords)
    if isinstance(function, MethodType):
        return (function.__func__, function.__self__)
    closure = tuple(_content(cell) for cell in function.__closure__ or ())
    return (function.__module__, function.__qualname__, function.__defaults__, function.__kwdefaults__, closure)


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _equal(one: object, other: object) -> bool:
    """Whether two values of one type are equal, or have equal reprs if they only compare by identity."""
    try:
        return bool(one == other) or (type(one).__eq__ is object.__eq__ and repr(one) == repr(other))
    except Exception:  # noqa: BLE001 - a user's comparison; an array has no single answer
        return False
