"""Steps of a store over several limits, and for reservations: take units of several keys, give units back.

A hit charges one key. A `take` charges several, all or nothing. Afterwards the units can be settled: some are given
back, or more are charged in any case. The functions here serve all stores whose kernels run in Python. A store only
fetches states and writes the changed ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from traffik.backends.shields import shielded
from traffik.model.decisions import ADMITTED, Decision
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError

if TYPE_CHECKING:
    from traffik.strategies import Plan, Receipt, State

__all__ = [
    "FORESEE",
    "HOLD",
    "SETTLE",
    "TAKE",
    "TAKE_UP_TO",
    "TRY",
    "Fetch",
    "Held",
    "Keep",
    "LimitAccount",
    "Posted",
    "Posting",
    "Take",
    "Taken",
    "as_counted_by",
    "check_settles",
    "post_each",
    "settle_surely",
    "take_in_turn",
    "take_together",
]

TAKE: Final = 0
"""Take units."""
HOLD: Final = 1
"""Take units, and return the receipts for settling them."""
TRY: Final = 2
"""Decide as `TAKE` does, and change nothing."""

SETTLE: Final = 3
"""Give units back (below 0) or charge them in any case (above 0)."""
TAKE_UP_TO: Final = 4
"""Take the units, or as many of them as remain."""
FORESEE: Final = 5
"""Compute when each of several costs, one after the other, would be admitted. Changes nothing."""


class LimitAccount:
    """One limit in one store. Stores add their own data on the limit in subclasses.

    Attributes:
        store: the store.
        uid: the uid of the limit.
        plan: the strategy, prepared for its rates.
    """

    __slots__ = ("plan", "store", "uid")

    def __init__(self, store: Any, uid: str, plan: Plan) -> None:
        self.store: Any = store
        self.uid: str = uid
        self.plan: Plan = plan


Take: TypeAlias = tuple[Any, str, int]
"""A `LimitAccount`, a local key in it, and the units to take: 1 to the plan's ceiling."""


Held: TypeAlias = "tuple[LimitAccount, tuple[Receipt, ...]] | None"
"""The account that counted a take, and the receipt for settling it there; None if no store counted it."""


class Taken(NamedTuple):
    """The result of takes that are decided together.

    Attributes:
        decisions: one for each take, in order. If another take is refused, the decision has the remaining quota without
            this take.
        held: for an admitted `HOLD`, one for each take, in order. Empty otherwise.
    """

    decisions: list[Decision]
    held: Sequence[Held] = ()


class Posting(NamedTuple):
    """One operation on one key that is not a take.

    Attributes:
        kind: `SETTLE`, `TAKE_UP_TO` or `FORESEE`.
        account: the limit.
        key: the scope and the identity, joined by `traffik.model.keys.local_key`.
        units: the number of units.
        receipt: for `SETTLE`: the receipt of the hold of the units; None to settle without one.
        costs: for `FORESEE`: the costs, in order.
    """

    kind: int
    account: Any
    key: str
    units: int = 0
    receipt: tuple[Receipt, ...] | None = None
    costs: tuple[int, ...] = ()


class Posted(NamedTuple):
    """The result of a posting.

    Attributes:
        decision: a decision with the quota that remains afterwards.
        units: the units taken or charged (above 0), or given back (below 0).
        waits: for `FORESEE`: µs from now until each cost would be admitted.
    """

    decision: Decision
    units: int = 0
    waits: tuple[int, ...] = ()


def as_counted_by(posting: Posting, account: LimitAccount) -> Posting:
    """The settling of a hold by the plan of `account`, since its limit has changed: it counts there by that plan now.

    Units that the plan does not count are not given back.
    """
    if posting.receipt is None:
        return posting
    receipt = account.plan.receipts_from(posting.account.plan, posting.receipt)
    return posting._replace(account=account, receipt=receipt)


Fetch: TypeAlias = "Callable[[Any, str], State | None]"
"""A function that returns the stored state of a key of an account."""

Keep: TypeAlias = "Callable[[Any, str, State, int, int], None]"
"""A function that writes the new state of a key of an account, with its ttl and the time, both in µs."""


_Change: TypeAlias = tuple[Any, str, Any, int]
"""What a take leaves: the account, the key, the new state or None to keep the stored one, and its ttl."""


def take_together(takes: Sequence[Take], kind: int, now: int, fetch: Fetch, keep: Keep) -> Taken:
    """Decide on takes, each with the quota that those before it leave. If one is refused, none of them counts.

    Args:
        takes: the takes.
        kind: `TAKE`, `HOLD` or `TRY`.
        now: µs on the store's clock.
        fetch: returns a stored state.
        keep: writes a new state. Called after all decisions have been made.
    """
    states = [fetch(account, key) for account, key, _ in takes]
    befores: list[State | None] = []
    decisions: list[Decision] = []
    changes: list[_Change] = []
    drafts: dict[tuple[str, str], State] = {}
    for (account, key, units), state in zip(takes, states, strict=True):
        before = drafts.get((account.uid, key), state)
        decision, after, ttl = account.plan.kernel(before, units, now)
        befores.append(before)
        decisions.append(decision)
        changes.append((account, key, after, ttl))
        if after is not None and decision.allowed:
            drafts[account.uid, key] = after
    if all(decisions):
        held = [_held(change, before) for change, before in zip(changes, befores, strict=True)] if kind == HOLD else ()
    else:
        held, changes = (), _refuse(states, decisions, changes, now)
    for account, key, after, ttl in changes:
        if after is not None and kind != TRY:
            keep(account, key, after, ttl, now)
    return Taken(decisions, held)


def _held(change: _Change, before: State | None) -> Held:
    account, _, after, _ = change
    return account, account.plan.receipt(before, after)


def _refuse(
    states: Sequence[State | None], decisions: list[Decision], changes: Sequence[_Change], now: int
) -> list[_Change]:
    """Replace the decisions that admit by the quota that remains without the takes. Returns the changes to keep."""
    kept: list[_Change] = []
    for place, change in enumerate(changes):
        if decisions[place].allowed:
            decisions[place] = change[0].plan.kernel(states[place], 0, now)[0]
        else:
            kept.append(change)  # with a state if the clock has gone far back: it continues from here
    return kept


async def take_in_turn(
    groups: Sequence[Sequence[int]],
    takes: Sequence[Take],
    kind: int,
    take: Callable[[Sequence[Take], int], Awaitable[Taken]],
    sync: bool,
) -> Taken:
    """Take groups that cannot be one step, one after the other. If one is refused or fails, give the others back.

    If this is cancelled, the group under way is awaited. A `HOLD` is then given back, since its caller will not know of
    it, and so are the units of any kind if not all groups have admitted them.

    Args:
        groups: the groups, each as indexes into `takes`. The takes of one group are one step. Groups that cannot give
            back are taken last.
        takes: the takes.
        kind: `TAKE`, `HOLD` or `TRY`.
        take: takes one group.
        sync: whether the caller is sync code.

    Raises:
        ConfigurationError: the strategy of a take before the last group cannot give units back.
    """
    ordered = sorted(groups, key=lambda places: not all(takes[place][0].plan.settles for place in places))
    if kind != TRY:
        for place in chain(*ordered[:-1]):
            check_settles(takes[place][0])
    decisions = [ADMITTED] * len(takes)
    held: list[Held] = [None] * len(takes)
    admitted: list[Sequence[int]] = []

    async def take_group(group: Sequence[int], kind: int) -> None:
        taken = await take([takes[place] for place in group], kind)
        for place, decision in zip(group, taken.decisions, strict=True):
            decisions[place] = decision
        for place, each in zip(group, taken.held, strict=False):
            held[place] = each
        if all(taken.decisions):
            admitted.append(group)

    async def give_back() -> None:
        places = [place for place, each in enumerate(held) if each is not None]
        postings = [_back(takes[place], held[place]) for place in places]
        for place, posted in zip(places, await settle_surely(postings, sync), strict=True):
            decisions[place] = posted.decision

    waits = not (sync or all(account.store.in_process for account, _, _ in takes))
    try:
        for group in ordered:
            work = take_group(group, kind if kind == TRY or group is ordered[-1] else HOLD)
            await (shielded(work) if waits else work)
            if group not in admitted:
                break
    except BaseException:
        if kind == HOLD or len(admitted) < len(ordered):
            await give_back()
        raise
    if len(admitted) == len(ordered):
        return Taken(decisions, held if kind == HOLD else ())
    await give_back()
    return Taken(decisions)


async def settle_surely(postings: Sequence[Posting], sync: bool) -> list[Posted]:
    """Carry out postings, in one step for those of one store.

    Once begun it is carried out, even if it is cancelled: stores have deadlines.
    """
    waits = not (sync or all(posting.account.store.in_process for posting in postings))
    work = _post_by_store(postings, sync)
    return await (shielded(work) if waits else work)


async def _post_by_store(postings: Sequence[Posting], sync: bool) -> list[Posted]:
    by_store: dict[Any, list[int]] = {}
    for place, posting in enumerate(postings):
        by_store.setdefault(posting.account.store, []).append(place)
    found: dict[int, Posted] = {}
    for store, places in by_store.items():
        answers = store.post([postings[place] for place in places], sync=sync)
        found.update(zip(places, answers if isinstance(answers, list) else await answers, strict=True))
    return [found[place] for place in range(len(postings))]


def _back(take: Take, held: Held) -> Posting:
    """The posting that gives back a take."""
    _, key, units = take
    account, receipt = held or (take[0], None)
    return Posting(SETTLE, account, key, -units, receipt)


def check_settles(account: LimitAccount) -> None:
    """Check that units of a limit can be settled.

    Raises:
        ConfigurationError: its strategy cannot settle.
    """
    if not account.plan.settles:
        raise ConfigurationError(
            f"{describe(account.plan.strategy)} cannot give units back or charge them in any case: add the methods "
            f"`receipt` and `settle` (see traffik.strategies.Settling), or use another strategy"
        )


def post_each(postings: Sequence[Posting], now: int, fetch: Fetch, keep: Keep) -> list[Posted]:
    """Carry out postings, one after the other. The arguments are those of `take_together`."""
    return [_post(posting, now, fetch, keep) for posting in postings]


def _post(posting: Posting, now: int, fetch: Fetch, keep: Keep) -> Posted:
    kind, account, key, units, receipt, costs = posting
    plan, state = account.plan, fetch(account, key)
    if kind == FORESEE:
        return Posted(plan.kernel(state, 0, now)[0], waits=plan.earliest(state, costs, now))
    if kind == SETTLE:
        decision, changed, ttl, moved = plan.settle(state, units, receipt, now)
    else:
        decision, changed, ttl, moved = plan.take_up_to(state, units, now)
    if changed is not None:
        keep(account, key, changed, ttl, now)
    return Posted(decision, moved)
