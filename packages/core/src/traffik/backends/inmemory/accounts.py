"""A limit in the store in memory, and the states of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traffik.backends.postings import LimitAccount, Taken, as_counted_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traffik.backends.base import Backend
    from traffik.backends.inmemory.tables import KeyTable
    from traffik.backends.postings import Posting, Take
    from traffik.model.decisions import Decision
    from traffik.strategies import Plan, State

__all__ = ["MemoryAccount", "as_counted_now", "fetch_state", "mark_shared", "take_known"]


_new = tuple.__new__


class MemoryAccount(LimitAccount):
    """A limit, and the table of its keys."""

    __slots__ = ("table",)

    def __init__(self, store: Backend, uid: str, plan: Plan, table: KeyTable) -> None:
        super().__init__(store, uid, plan)
        self.table: KeyTable = table


def fetch_state(account: MemoryAccount, key: str) -> State | None:
    """The state of a key, if the plan of the account can read it."""
    table, plan = account.table, account.plan
    state = table.find(key)[1]
    if state is None or table.plan is plan or table.plan.family == plan.family:
        return state
    return plan.from_sibling(state) if table.plan.family in plan.siblings else None


def as_counted_now(posting: Posting) -> Posting:
    """The settling of a hold by the plan of its table, if that cannot read the states of the plan of the hold.

    Otherwise the whole table would be read by the old plan again.
    """
    account, new = posting.account, posting.account.table.plan
    if new.family == account.plan.family:
        return posting
    return as_counted_by(posting, MemoryAccount(account.store, account.uid, new, account.table))


def take_known(takes: Sequence[Take], now: int) -> Taken | None:
    """Take units of keys in the newest generations. None, and nothing, if one is refused.

    None too if a key has to be moved first; then `traffik.backends.postings.take_together` decides.
    """
    decisions: list[Decision] = []
    befores: list[tuple[dict[str, State], str, State]] = []
    try:
        for account, key, units in takes:
            table = account.table
            newest = table.newest
            state = newest.get(key)
            if state is None or table.plan is not account.plan:
                return None
            decision, after, ttl = table.plan.kernel(state, units, now)
            if after is None or not decision[0]:
                return None
            befores.append((newest, key, state))
            newest[key] = after
            if ttl > table.longest:
                table.longest = ttl
            decisions.append(decision)
        return _new(Taken, (decisions, ()))
    finally:
        if len(decisions) < len(takes):
            for newest, key, state in reversed(befores):
                newest[key] = state


def mark_shared(takes: Sequence[Take], decisions: list[Decision]) -> None:
    """Mark the decisions on keys that are counted in an overflow bucket."""
    for place, (account, key, _) in enumerate(takes):
        if account.table.overflow and account.table.shares(key):
            decisions[place] = decisions[place]._replace(degraded="overflow")
