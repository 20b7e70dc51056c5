"""A limit in the store in memory, and the states of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traffik.backends.postings import LimitAccount

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.backends.inmemory.tables import KeyTable
    from traffik.strategies import Plan, State

__all__ = ["MemoryAccount", "fetch_state", "state_in"]


class MemoryAccount(LimitAccount):
    """A limit, and the table of its keys."""

    __slots__ = ("bank",)

    def __init__(self, store: Backend, uid: str, plan: Plan, bank: KeyTable) -> None:
        super().__init__(store, uid, plan)
        self.bank = bank


def fetch_state(account: MemoryAccount, key: str) -> State | None:
    """The state of a key, for a step over several."""
    return state_in(account.bank, account.plan, key)


def state_in(bank: KeyTable, plan: Plan, key: str) -> State | None:
    """The state of a key, if the plan can read it."""
    state = bank.newest.get(key)
    if state is None:
        state = bank.find(key)[1]
    if state is None or bank.plan is plan or bank.plan.family == plan.family:
        return state
    return plan.from_sibling(state) if bank.plan.family == plan.sibling else None
