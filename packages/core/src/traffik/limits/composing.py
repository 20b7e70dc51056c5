"""Several limits as one decision, and what can be settled afterwards.

`take_all` takes units from several limits, all or nothing: in one atomic step for those that count in one store. Where
they count in different stores, it takes from one store after the other, and gives back what it has taken if a later
one refuses. So no limit ever admits too much; a hit that is refused may hold units for one round trip.

As in `traffik.limits.hits`, async code awaits these coroutine functions, and sync code steps them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

from traffik.backends.postings import (
    FORESEE,
    HOLD,
    SETTLE,
    TAKE,
    TAKE_UP_TO,
    TRY,
    Posting,
    Taken,
    check_settles,
    take_in_turn,
)
from traffik.events.records import CHARGE_ALWAYS, HIT, REFUND, RESERVE, SILENT, TAKE_SOME
from traffik.limits.hits import Ask, account_of, applies, decide, refuse
from traffik.limits.limit import Limit, check_context
from traffik.model.costs import check_cost
from traffik.model.decisions import ADMITTED, Decision, SettledDecision
from traffik.model.descriptions import describe

if TYPE_CHECKING:
    from traffik.backends.base import Backend, Calls
    from traffik.backends.postings import LimitAccount, Posted, Take
    from traffik.model.callables import Context
    from traffik.responses.headers import PreparedPolicies
    from traffik.strategies import Receipt

__all__ = [
    "Hit",
    "Hold",
    "Verdict",
    "foresee",
    "hit_together",
    "hold_on",
    "parts_of",
    "settle_all",
    "take_all",
    "take_up_to",
]

_T = TypeVar("_T")

_ACTIONS: Final = {TAKE: HIT, HOLD: RESERVE, TRY: SILENT}
"""What each kind of taking is recorded as."""


class Hit(NamedTuple):
    """One limit in a decision over several, with options of its own.

    Attributes:
        limit: a throttle or a limiter.
        cost: units it takes; if None, those of the whole hit, or else the limit's own.
        context: goes before the limit's own; if None, that of the whole hit.
        subject: the connection or identity to count; if None, that of the whole hit.
    """

    limit: Limit
    cost: int | None = None
    context: Context | None = None
    subject: Any = None

    def subject_in(self, whole: Any) -> Any:
        """Its own subject, or else that of the whole hit."""
        return whole if self.subject is None else self.subject

    def context_in(self, whole: Context | None) -> Context | None:
        """Its own context, or else that of the whole hit."""
        return whole if self.context is None else self.context


class Hold(NamedTuple):
    """Units of one limit that can be settled.

    Attributes:
        part: the limit, as it was hit.
        account: the limit in its store.
        key: the local key.
        units: how many were taken; 0 if none were.
        receipt: what settling needs to know of the hit; None if there was none.
    """

    part: Hit
    account: LimitAccount
    key: str
    units: int = 0
    receipt: tuple[Receipt, ...] | None = None


class Verdict(NamedTuple):
    """What several limits say together.

    Attributes:
        parts: the limits.
        decisions: of each; if another one refuses, what is left untaken.
        holds: what was taken of each; None where nothing is counted, and everywhere if one refuses.
        binding: the place of the one that refuses longest or, if all admit, has the least left.
    """

    parts: Sequence[Hit]
    decisions: list[Decision]
    holds: list[Hold | None]
    binding: int

    @property
    def decision(self) -> Decision:
        """The decision that binds."""
        return self.decisions[self.binding]

    @property
    def others(self) -> list[tuple[PreparedPolicies, Decision]]:
        """The policies and decisions of all but the one that binds."""
        pairs = zip(self.parts, self.decisions, strict=True)
        binding = self.parts[self.binding]
        return [(part.limit.policies(decision), decision) for part, decision in pairs if part is not binding]

    def remember(self, subject: Any, usual: bool) -> None:
        """Keep the decisions of throttles with the connection; the one that binds as the most recent."""
        for place, part in enumerate(self.parts):
            if place != self.binding:
                part.limit.remember(subject, self.decisions[place], usual)
        self.parts[self.binding].limit.remember(subject, self.decision, usual)


def parts_of(limits: Sequence[Limit | Hit]) -> tuple[Hit, ...]:
    """Limits as hits.

    Raises:
        TypeError, ValueError: there are none, something else is among them, or one has a bad cost or context.
    """
    if not limits:
        raise TypeError("one decision takes at least one throttle or limiter")
    parts = tuple(each if isinstance(each, Hit) else Hit(each) for each in limits)
    for limit, cost, context, _ in parts:
        if not isinstance(limit, Limit):
            raise TypeError(f"one decision takes throttles and limiters, not {describe(limit)}")
        if cost is not None:
            check_cost(cost)
        check_context(context)
    return parts


async def take_all(
    parts: Sequence[Hit],
    subject: Any,
    cost: int | None,
    context: Context | None,
    sync: bool,
    kind: int = TAKE,
) -> Verdict:
    """Take units from several limits, all or nothing.

    Args:
        parts: the limits.
        subject: the connection or identity.
        cost: for those without a cost of their own, and so is `context`.
        sync: for sync code.
        kind: `TAKE`; `HOLD` to settle them later; `TRY` to change nothing.

    Raises:
        ConfigurationError: a hold is asked of a strategy that cannot settle, or the limits count in different stores,
            and what the first has handed out could not be given back.
    """
    decisions: list[Decision] = []
    takes: list[Take] = []
    places: list[int] = []

    def note(calls: Calls, key: str, units: int) -> Decision:
        takes.append((calls.account, key, units))
        places.append(len(decisions))
        return ADMITTED

    action = _ACTIONS[kind]
    ask = Ask(note, action)
    for part in parts:
        own = part.subject_in(subject)
        price = cost if part.cost is None else part.cost
        decisions.append(await decide(part.limit, own, price, part.context_in(context), sync, ask))
    holds: list[Hold | None] = [None] * len(parts)
    if takes and all(decisions):
        taken = await _take(takes, kind, sync)
        refused = not all(taken.decisions)
        for place, (_, key, units), decision in zip(places, takes, taken.decisions, strict=True):
            # If another limit refuses, one that would have admitted has taken nothing, so there is nothing to record.
            its = SILENT if refused and decision.allowed else action
            decisions[place] = parts[place].limit.recorded(decision, key, units, its)
        for place, (_, key, units), held in zip(places, takes, taken.held, strict=False):
            holds[place] = held and Hold(parts[place], held[0], key, units, held[1])
    return Verdict(parts, decisions, holds, _binding(decisions))


async def hit_together(
    parts: Sequence[Hit], subject: Any, cost: int | None, context: Context | None, sync: bool, kind: int = TAKE
) -> tuple[Verdict, object]:
    """Take units from several limits, remember the decisions of throttles, and reject the connection if one refuses.

    Returns:
        The verdict; and what the handler of the throttle that refuses answered, None if none was asked.
    """
    verdict = await take_all(parts, subject, cost, check_context(context), sync, kind)
    verdict.remember(subject, cost is None and context is None)
    part, decision = parts[verdict.binding], verdict.decision
    if decision.allowed or not any(each.limit.rejects for each in parts):
        return verdict, None
    own = part.context_in(context)
    return verdict, await refuse(part.limit, subject, decision, own, sync, verdict.others)


async def settle_all(holds: Sequence[tuple[Hold, int]], sync: bool) -> list[Decision]:
    """Give back (units below 0) or charge in any case (above 0), in one step for those of one store."""
    for hold, _ in holds:
        check_settles(hold.account)
    postings = [Posting(SETTLE, hold.account, hold.key, units, hold.receipt) for hold, units in holds]
    pairs = zip(holds, await _settle(postings, sync), strict=True)
    settled: list[Decision] = []
    for (hold, units), its in pairs:
        action = REFUND if units < 0 else CHARGE_ALWAYS
        decision = hold.part.limit.recorded(its.decision, hold.key, abs(its.units), action)
        settled.append(SettledDecision.of(decision, its.units))
    return settled


async def hold_on(part: Hit, subject: Any, context: Context | None, sync: bool) -> Hold | None:
    """A hold of no units on the quota of `subject`, to charge or refund; None if nothing is counted for it."""
    limit, subject, context = part.limit, part.subject_in(subject), part.context_in(context)
    if limit.gated:
        merged = limit.context if context is None else limit.merged(context)[0]
        if not await applies(limit, subject, None, merged, sync):
            return None
    found = await account_of(limit, subject, context, sync)
    if found is None or not found[1].rates:
        return None
    key, _, calls = found
    return Hold(part, calls.account, key)


async def take_up_to(part: Hit, subject: Any, most: int, context: Context | None, sync: bool) -> int:
    """Take as many of `most` units as are left; how many."""
    if check_cost(most) == 0:
        return 0
    hold = await hold_on(part, subject, check_context(context), sync)
    if hold is None:
        return most
    posting = Posting(TAKE_UP_TO, hold.account, hold.key, most)
    answer: Posted = (await _answer(hold.account.store.post([posting], sync=sync)))[0]
    part.limit.note(answer.decision._replace(allowed=answer.units > 0), hold.key, answer.units or most, TAKE_SOME)
    return answer.units


async def foresee(part: Hit, subject: Any, costs: Sequence[int], context: Context | None, sync: bool) -> list[Decision]:
    """When each of `costs`, one after the other, would be admitted if nobody else hits."""
    checked = tuple(map(check_cost, costs))
    hold = await hold_on(part, subject, check_context(context), sync)
    if hold is None:
        return [ADMITTED] * len(checked)
    posting = Posting(FORESEE, hold.account, hold.key, costs=checked)
    answer: Posted = (await _answer(hold.account.store.post([posting], sync=sync)))[0]
    return [answer.decision._replace(allowed=wait == 0, retry_after=wait) for wait in answer.waits]


async def _take(takes: Sequence[Take], kind: int, sync: bool) -> Taken:
    """Take from one store, or from several one after the other."""
    store = takes[0][0].store
    by_store: dict[Backend, list[int]] = {}
    if any(account.store is not store for account, _, _ in takes):
        for place, (account, _, _) in enumerate(takes):
            by_store.setdefault(account.store, []).append(place)

        async def take(takes: Sequence[Take], kind: int) -> Taken:
            return await _take(takes, kind, sync)

        return await take_in_turn([*by_store.values()], takes, kind, take, partial(_settle, sync=sync))
    if kind == HOLD:
        for account, _, _ in takes:
            check_settles(account)
    take_from = store.take if store.probe is None else partial(store.probe.call, store.take)
    answer = take_from(takes, kind, sync=sync)
    taken: Taken = answer if type(answer) is Taken else await answer
    return taken


async def _settle(postings: Sequence[Posting], sync: bool) -> list[Posted]:
    """Carry out postings, in one step for those of one store. Once begun it is not cancelled: stores have deadlines."""
    by_store: dict[Backend, list[int]] = {}
    for place, posting in enumerate(postings):
        by_store.setdefault(posting.account.store, []).append(place)
    found: dict[int, Posted] = {}

    async def settle() -> None:
        for store, places in by_store.items():
            answers = await _answer(store.post([postings[place] for place in places], sync=sync))
            found.update(zip(places, answers, strict=True))

    if sync or all(store.in_process for store in by_store):
        await settle()
    else:
        from anyio import CancelScope  # here, since only stores that are waited for need it

        with CancelScope(shield=True):
            await settle()
    return [found[place] for place in range(len(postings))]


async def _answer(answer: _T | Awaitable[_T]) -> _T:
    if isinstance(answer, Awaitable):
        found: _T = await cast("Awaitable[_T]", answer)
        return found
    return answer


def _binding(decisions: Sequence[Decision]) -> int:
    """The place of the decision that refuses longest or, if all admit, has the least left."""
    found, first = 0, decisions[0]
    for place, decision in enumerate(decisions):
        if decision.allowed is first.allowed:
            beats = decision.remaining < first.remaining if first.allowed else decision.retry_after > first.retry_after
        else:
            beats = first.allowed
        if beats:
            found, first = place, decision
    return found
