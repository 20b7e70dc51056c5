"""What a limit prepares for its hits, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from traffik.backends.base import Calls
    from traffik.backends.postings import LimitAccount
    from traffik.model.callables import Context
    from traffik.strategies import Plan

__all__ = ["BoundPlan", "UsualHit", "keep", "known_take"]

_KEPT: Final = 256
"""How many plans, policies and calls are kept for a callable rate."""


@dataclass(frozen=True, slots=True)
class BoundPlan:
    """A plan and the calls for it to one store.

    Attributes:
        plan: the strategy, prepared for the rates.
        calls: the calls for async code; None if the store depends on the application of each connection.
        sync_calls: the calls for sync code.
    """

    plan: Plan
    calls: Calls | None
    sync_calls: Calls | None


class UsualHit(NamedTuple):
    """The data for a hit without its own cost or context, apart from the identity.

    Attributes:
        context: the context of the limit.
        scope: its scope.
        cost: its cost.
        bound: its plan, with the calls to the store.
    """

    context: Context
    scope: str | None
    cost: int
    bound: BoundPlan


def known_take(usual: UsualHit | None) -> tuple[LimitAccount, int] | None:
    """The account and the cost of a usual hit, if its limit always counts in the same store."""
    calls = None if usual is None else usual.bound.calls
    return None if usual is None or calls is None else (calls.account, usual.cost)


def keep(table: dict[Any, Any], key: object, value: object) -> None:
    """Keep what was prepared for a callable rate. A table with too many is emptied, and its entries prepared again."""
    if len(table) >= _KEPT:
        table.clear()
    table[key] = value
