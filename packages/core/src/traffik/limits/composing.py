"""Several limits as one decision, and what can be settled afterwards.

`take_all` takes units from several limits, all or nothing: in one atomic step for those that count in one store. Where
they count in different stores, it takes from one store after the other, and gives back what it has taken if a later
one refuses. So no limit ever admits too much; a hit that is refused may hold units for one round trip.

As in `traffik.limits.hits`, async code awaits these coroutine functions, and sync code steps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
    settle_surely,
    take_in_turn,
)
from traffik.events.records import CHARGE_ALWAYS, HIT, REFUND, RESERVE, SILENT, TAKE_SOME
from traffik.limits.hits import Ask, account_of, applies, decide, read_only, refuse
from traffik.limits.limit import Limit
from traffik.model.callables import check_context
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
    "give_back",
    "hit_together",
    "hold_on",
    "parts_of",
    "settle_all",
    "take_all",
    "take_up_to",
]

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
        _, decisions, _, binding = self
        for place, (limit, _, _, _) in enumerate(self.parts):
            if place != binding:
                limit.remember(subject, decisions[place], usual)
        self.parts[binding].limit.remember(subject, decisions[binding], usual)


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
    refused = beside = finished = False

    def note(calls: Calls, key: str, units: int) -> Decision:
        if kind == TRY and not calls.account.plan.stats:
            return ADMITTED
        takes.append((calls.account, key, units))
        places.append(len(decisions))
        return ADMITTED

    taking = Ask(note, _ACTIONS[kind])
    for limit, price, own, whose in parts:
        ask: Ask | None = taking
        if limit.shadow is not None:
            beside = True
            if limit.in_shadow:  # it decides by itself, since it must not refuse the others
                ask = read_only if kind == TRY else None
        whom, units = subject if whose is None else whose, cost if price is None else price
        decision = await decide(limit, whom, units, context if own is None else own, sync, ask)
        decisions.append(decision)
        refused = refused or not decision[0]
        finished = finished or limit.finish is not None
    holds: list[Hold | None] = [None] * len(parts)
    if takes and not refused:
        answers, all_held = await _take(takes, kind, sync)
        for place, (_, key, taken), held in zip(places, takes, all_held, strict=False):
            holds[place] = held and Hold(parts[place], held[0], key, taken, held[1])
        if not finished and len(takes) == len(parts):
            decisions = answers
        else:
            _finish(parts, takes, places, decisions, answers, _ACTIONS[kind])
        if beside and kind != TRY:
            await _charge_shadows([(parts[place].limit, decisions[place]) for place in places], takes, holds, sync)
    return Verdict(parts, decisions, holds, _binding(decisions))


def _finish(
    parts: Sequence[Hit],
    takes: Sequence[Take],
    places: Sequence[int],
    decisions: list[Decision],
    answers: Sequence[Decision],
    action: str,
) -> None:
    """Put the answers of stores among the decisions, recorded and marked."""
    refused = not all(answers)
    for place, (_, key, units), decision in zip(places, takes, answers, strict=True):
        # If another limit refuses, one that would have admitted has taken nothing, so there is nothing to record.
        its = SILENT if refused and decision.allowed else action
        decisions[place] = parts[place].limit.recorded(decision, key, units, its)


async def give_back(holds: Iterable[Hold | None], sync: bool) -> None:
    """Give back all units of holds whose caller will not settle them."""
    taken = [hold for hold in holds if hold is not None and hold.units]
    await settle_surely([Posting(SETTLE, hold.account, hold.key, -hold.units, hold.receipt) for hold in taken], sync)


async def _charge_shadows(
    decided: Sequence[tuple[Limit, Decision]], takes: Sequence[Take], holds: Sequence[Hold | None], sync: bool
) -> None:
    """Charge the rates beside the live ones, if there are any."""
    try:
        for (limit, decision), (account, key, units) in zip(decided, takes, strict=True):
            if limit.shadow is not None:
                await limit.shadow.charge_beside(account, key, units, decision, sync)
    except BaseException:
        await give_back(holds, sync)
        raise


async def hit_together(
    parts: Sequence[Hit], subject: Any, cost: int | None, context: Context | None, sync: bool, kind: int = TAKE
) -> tuple[Verdict, object]:
    """Take units from several limits, remember the decisions of throttles, and reject the connection if one refuses.

    Returns:
        The verdict; and what the handler of the throttle that refuses answered, None if none was asked.
    """
    if context is not None:
        check_context(context)
    verdict = await take_all(parts, subject, cost, context, sync, kind)
    verdict.remember(subject, cost is None and context is None)
    decision = verdict.decision
    if decision.allowed or not any(part.limit.rejects for part in parts):
        return verdict, None
    part = parts[verdict.binding]
    return verdict, await refuse(part.limit, subject, decision, part.context_in(context), sync, verdict.others)


async def settle_all(holds: Sequence[tuple[Hold, int]], sync: bool) -> list[SettledDecision]:
    """Give back (units below 0) or charge in any case (above 0), in one step for those of one store."""
    for hold, _ in holds:
        check_settles(hold.account)
    postings = [Posting(SETTLE, hold.account, hold.key, units, hold.receipt) for hold, units in holds]
    settled: list[SettledDecision] = []
    for (hold, units), its in zip(holds, await settle_surely(postings, sync), strict=True):
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
    answer = (await _post(hold.account.store, [posting], sync))[0]
    part.limit.note(answer.decision._replace(allowed=answer.units > 0), hold.key, answer.units or most, TAKE_SOME)
    return answer.units


async def foresee(part: Hit, subject: Any, costs: Sequence[int], context: Context | None, sync: bool) -> list[Decision]:
    """The times at which hits of `costs`, one after another, would be admitted without other hits."""
    checked = tuple(map(check_cost, costs))
    hold = await hold_on(part, subject, check_context(context), sync)
    if hold is None:
        return [ADMITTED] * len(checked)
    posting = Posting(FORESEE, hold.account, hold.key, costs=checked)
    answer = (await _post(hold.account.store, [posting], sync))[0]
    return [answer.decision._replace(allowed=wait == 0, retry_after=wait) for wait in answer.waits]


async def _take(takes: Sequence[Take], kind: int, sync: bool) -> Taken:
    """Take from one store in one step, or from several one after the other."""
    store: Backend = takes[0][0].store
    by_store: dict[Backend, list[int]] = {}
    for place, (account, _, _) in enumerate(takes):
        if kind == HOLD:
            check_settles(account)
        if by_store or account.store is not store:
            by_store = by_store or {store: [*range(place)]}
            by_store.setdefault(account.store, []).append(place)
    if by_store or (kind == HOLD and not (sync or store.in_process)):
        groups = [*by_store.values()] or [[*range(len(takes))]]
        return await take_in_turn(groups, takes, kind, partial(_take_here, sync=sync), sync)
    return await _take_here(takes, kind, sync)


async def _take_here(takes: Sequence[Take], kind: int, sync: bool) -> Taken:
    """Take from the one store in which all of them count."""
    store: Backend = takes[0][0].store
    take = store.take if store.probe is None else partial(store.probe.call, store.take)
    answer = take(takes, kind, sync=sync)
    return answer if isinstance(answer, Taken) else await answer


async def _post(store: Backend, postings: Sequence[Posting], sync: bool) -> list[Posted]:
    answers = store.post(postings, sync=sync)
    return answers if isinstance(answers, list) else await answers


def _binding(decisions: Sequence[Decision]) -> int:
    """The place of the decision that refuses longest or, if all admit, has the least left."""
    found, refused, most = 0, False, -decisions[0][2]
    for place, (allowed, _, remaining, wait, _, _, _) in enumerate(decisions):
        if not allowed and (not refused or wait > most):
            found, refused, most = place, True, wait
        elif allowed and not refused and -remaining > most:
            found, most = place, -remaining
    return found
