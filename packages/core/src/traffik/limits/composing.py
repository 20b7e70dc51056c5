"""Several limits as one decision, and what can be settled afterwards.

`take_all` takes units from several limits, all or nothing: in one atomic step for those that count in one store. Where
they count in different stores, it takes from one store after the other, and gives back what it has taken if a later
one refuses. So no limit ever admits too much; a hit that is refused may hold units for one round trip.

As in `traffik.limits.hits`, async code awaits these coroutine functions, and sync code steps them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from traffik.adapters import adapter_of
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
from traffik.limits.limit import Limit, check_context
from traffik.model.costs import check_cost
from traffik.model.decisions import ADMITTED, UNBOUNDED, Decision, SettledDecision
from traffik.model.descriptions import describe

if TYPE_CHECKING:
    from traffik.backends.base import Backend, Calls
    from traffik.backends.postings import Held, LimitAccount, Posted, Take
    from traffik.model.callables import Context
    from traffik.responses.headers import PreparedPolicies
    from traffik.strategies import Receipt

__all__ = [
    "Group",
    "Hit",
    "Hold",
    "Verdict",
    "foresee",
    "give_back",
    "hit_together",
    "hold_on",
    "remember",
    "settle_all",
    "take_all",
    "take_up_to",
]

_ACTIONS: Final = {TAKE: HIT, HOLD: RESERVE, TRY: SILENT}
"""What each kind of taking is recorded as."""

_new = tuple.__new__


def _note(calls: Calls, key: str, cost: int) -> Take:
    return calls.account, key, cost


def _note_if_it_can_tell(calls: Calls, key: str, cost: int) -> Take | Decision:
    return _note(calls, key, cost) if calls.account.plan.stats else ADMITTED


_NOTING: Final[Mapping[int, Ask[Any]]] = {
    TAKE: Ask(_note, HIT),
    HOLD: Ask(_note, RESERVE),
    TRY: Ask(_note_if_it_can_tell, SILENT),
}
"""What `decide` does for each kind of taking: it returns a take, and the store is asked when there is one of each."""


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


class Group:
    """Limits that are hit as one, prepared once.

    Args:
        limits: the limits. A `Hit` gives one of them options of its own.

    Raises:
        TypeError, ValueError: there are none, something else is among them, or one has a bad cost or context.

    Attributes:
        parts: the limits.
        steps: the fields of each part, and the place of the first part that gives a subject the same key, so that it
            need not be identified again; None if there is none before it.
        rejects: whether a throttle is among them, which rejects the connection if one of them refuses.
        throttles: the throttles and their places.
        limits: the limits, if all of them are throttles that store plain decisions on the connection; else empty.
    """

    __slots__ = ("limits", "parts", "rejects", "steps", "throttles")

    def __init__(self, limits: Sequence[Limit | Hit]) -> None:
        if not limits:
            raise TypeError("one decision takes at least one throttle or limiter")
        self.parts = tuple([each if isinstance(each, Hit) else _new(Hit, (each, None, None, None)) for each in limits])
        self.steps: list[tuple[Limit, int | None, Context | None, Any, int | None]] = []
        sources: list[object] = []
        for limit, cost, context, subject in self.parts:
            if not isinstance(limit, Limit):
                raise TypeError(f"one decision takes throttles and limiters, not {describe(limit)}")
            if cost is not None:
                check_cost(cost)
            own = check_context(context) is not None or subject is not None or limit.context
            source = object() if own else limit.identity_source
            like = sources.index(source) if source in sources else None
            self.steps.append((limit, cost, context, subject, like))
            sources.append(source)
        self.throttles = [(place, part[0]) for place, part in enumerate(self.parts) if part[0].rejects]
        self.rejects = len(self.throttles) > 0
        plain = all([limit.rejects and limit.floods is None for limit, *_ in self.steps])
        self.limits = [limit for limit, *_ in self.steps] if plain else []


class Verdict(NamedTuple):
    """The decisions of several limits.

    Attributes:
        group: the limits.
        decisions: of each; if another one refuses, with what is left untaken.
        binding: the place of the one that refuses longest or, if all admit, has the least left.
        holds: the units taken from each, if they are to be settled; None where nothing is counted. Empty if one refuses.
    """

    group: Group
    decisions: Sequence[Decision]
    binding: int
    holds: Sequence[Hold | None] = ()

    @property
    def decision(self) -> Decision:
        """The decision that binds."""
        return self.decisions[self.binding]

    @property
    def others(self) -> list[tuple[PreparedPolicies, Decision]]:
        """The policies and decisions of all but the one that binds."""
        pairs = zip(self.group.parts, self.decisions, strict=True)
        binding = self.group.parts[self.binding]
        return [(part.limit.policies(decision), decision) for part, decision in pairs if part is not binding]


def remember(verdict: Verdict, subject: Any, usual: bool) -> Decision:
    """Store the decisions of throttles on the connection, the one that binds as the most recent. Returns that one."""
    group, decisions, binding, _ = verdict
    decision = decisions[binding]
    if group.rejects:
        memory = adapter_of(subject).memory(subject)
        last = group.parts[binding][0]
        if group.limits and not memory:
            memory.update(zip(group.limits, decisions, strict=True))
            memory[last] = memory.pop(last)
        else:
            for place, throttle in group.throttles:
                if place != binding:
                    throttle.remember(subject, decisions[place], usual, memory)
            last.remember(subject, decision, usual, memory)
    return decision


async def take_all(
    group: Group,
    subject: Any,
    cost: int | None,
    context: Context | None,
    sync: bool,
    kind: int = TAKE,
) -> Verdict:
    """Take units from several limits, all or nothing.

    Args:
        group: the limits.
        subject: the connection or identity.
        cost: for those without a cost of their own, and so is `context`.
        sync: for sync code.
        kind: `TAKE`; `HOLD` to settle them later; `TRY` to change nothing.

    Raises:
        ConfigurationError: a hold is asked of a strategy that cannot settle, or the limits count in different stores,
            and what the first has handed out could not be given back.
    """
    noting, calls = _NOTING[kind], 4 if sync else 3
    usual = cost is None and context is None and kind != TRY
    answers: list[Any] = []
    store: Any = None
    refused = divided = beside = partial = False
    for limit, price, own, whose, like in group.steps:
        key = None
        if like is not None and type(answers[like]) is tuple:
            key = answers[like][1]
        if key is not None and usual and price is None and limit.usual is not None and not limit.watched:
            answer = limit.usual[calls].account, key, limit.usual[2]  # there is nothing left to ask
        else:
            ask: Ask[Any] | None = noting
            if limit.watched:
                beside = True
                if limit.in_shadow:  # it decides by itself, since it must not refuse the others
                    ask = read_only if kind == TRY else None
            whom, units = subject if whose is None else whose, cost if price is None else price
            answer = await decide(limit, whom, units, context if own is None else own, sync, ask, key)
        answers.append(answer)
        if type(answer) is not tuple:
            partial, refused = True, refused or not answer.allowed
        elif store is not answer[0].store:
            divided, store = divided or store is not None, answer[0].store
    takes = [answer for answer in answers if type(answer) is tuple] if partial else answers
    if refused or not takes:
        decisions: list[Decision] = [ADMITTED if type(answer) is tuple else answer for answer in answers]
        return _new(Verdict, (group, decisions, _binding(decisions), ()))
    if divided or kind == HOLD:
        decisions, held = await _take_held(takes, kind, sync)
    else:
        taken = _ask_store(store, takes, kind, sync)
        decisions, held = taken if type(taken) is Taken else await taken
    if partial or beside or held:
        return await _finish(group, takes, decisions, held, [*answers], kind, sync)
    return _new(Verdict, (group, decisions, _binding(decisions), ()))


async def _finish(
    group: Group,
    takes: Sequence[Take],
    decisions: Sequence[Decision],
    held: Sequence[Held],
    answers: list[Any],
    kind: int,
    sync: bool,
) -> Verdict:
    """Replace the takes among the answers by the decisions of the store, and do for each limit what belongs to it."""
    places = [place for place, answer in enumerate(answers) if type(answer) is tuple]
    refused = not all(decisions)
    for place, (_, key, units), decision in zip(places, takes, decisions, strict=True):
        # If another limit refuses, one that would have admitted has taken nothing, so there is nothing to record.
        its = SILENT if refused and decision.allowed else _ACTIONS[kind]
        answers[place] = group.parts[place].limit.recorded(decision, key, units, its)
    holds: list[Hold | None] = [None] * len(answers)
    for place, (_, key, units), each in zip(places, takes, held, strict=False):
        holds[place] = each and Hold(group.parts[place], each[0], key, units, each[1])
    if kind != TRY:
        await _charge_shadows([(group.parts[place].limit, answers[place]) for place in places], takes, holds, sync)
    return Verdict(group, answers, _binding(answers), holds)


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
    group: Group, subject: Any, cost: int | None, context: Context | None, sync: bool, kind: int = TAKE
) -> Verdict:
    """Take units from several limits, remember the decisions of throttles, and reject the connection if one refuses."""
    if context is not None:
        check_context(context)
    verdict = await take_all(group, subject, cost, context, sync, kind)
    decision = remember(verdict, subject, cost is None and context is None)
    if not decision.allowed and group.rejects:
        part = group.parts[verdict.binding]
        await refuse(part.limit, subject, decision, part.context_in(context), sync, verdict.others)
    return verdict


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


async def _take_held(takes: Sequence[Take], kind: int, sync: bool) -> Taken:
    """Take what may have to be given back: from several stores one after the other, or to settle it later."""
    by_store: dict[Backend, list[int]] = {}
    for place, (account, _, _) in enumerate(takes):
        if kind == HOLD:
            check_settles(account)
        by_store.setdefault(account.store, []).append(place)
    if len(by_store) == 1 and (sync or takes[0][0].store.in_process):
        return await _take_here(takes, kind, sync)
    return await take_in_turn([*by_store.values()], takes, kind, partial(_take_here, sync=sync), sync)


async def _take_here(takes: Sequence[Take], kind: int, sync: bool) -> Taken:
    """Take from the one store in which all of them count."""
    answer = _ask_store(takes[0][0].store, takes, kind, sync)
    return answer if isinstance(answer, Taken) else await answer


def _ask_store(store: Backend, takes: Sequence[Take], kind: int, sync: bool) -> Taken | Awaitable[Taken]:
    probe = store.probe
    return store.take(takes, kind, sync=sync) if probe is None else probe.call(store.take, takes, kind, sync=sync)


async def _post(store: Backend, postings: Sequence[Posting], sync: bool) -> list[Posted]:
    answers = store.post(postings, sync=sync)
    return answers if isinstance(answers, list) else await answers


def _binding(decisions: Sequence[Decision]) -> int:
    """The place of the decision that refuses longest or, if all admit, has the least left."""
    found, refused, most = 0, False, UNBOUNDED
    for place, decision in enumerate(decisions):
        if decision[0]:
            if not refused and decision[2] < most:
                found, most = place, decision[2]
        elif not refused or decision[3] > most:
            found, refused, most = place, True, decision[3]
    return found
