"""The cost of a hit: its range, and the check of a given one."""

from __future__ import annotations

from numbers import Number
from operator import index
from typing import Final, SupportsIndex

from traffik.model.descriptions import describe

__all__ = ["MAX_COST", "check_cost"]

MAX_COST: Final = 2**31 - 1
"""The largest cost of one hit."""


def check_cost(cost: object) -> int:
    """`cost` as an integer. Integers of other libraries, such as those of NumPy, are integers too.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is not from 0 to `MAX_COST`.
    """
    if isinstance(cost, bool) or not isinstance(cost, int | SupportsIndex):
        advice = ": round it up before the hit" if isinstance(cost, Number) and not isinstance(cost, bool) else ""
        raise TypeError(f"a cost is an integer, not {describe(cost)} ({type(cost).__name__}){advice}")
    units = int(index(cost))
    if not 0 <= units <= MAX_COST:
        raise ValueError(f"a cost is from 0 to {MAX_COST}, not {describe(cost)}")
    return units
