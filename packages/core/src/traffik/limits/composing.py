"""Several limits as one decision.

`take_all` takes units from several limits, all or nothing: in one atomic step for those that count in one store. Where
they count in different stores, it takes from one store after the other, and gives back what it has taken if a later
one refuses. So no limit ever admits too much; a hit that is refused may hold units for one round trip.

As in `traffik.limits.hits`, async code awaits these coroutine functions, and sync code steps them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from traffik.adapters import adapter_of
from traffik.backends.postings import HOLD, TAKE, TRY, Taken, check_settles, take_in_turn
from traffik.events.records import HIT, RESERVE, SILENT
from traffik.limits.hits import Ask, decide, read_only, refuse
from traffik.limits.settling import Hold, give_back
from traffik.model.callables import check_context
from traffik.model.decisions import ADMITTED, UNBOUNDED, Decision

if TYPE_CHECKING:
    from traffik.backends.base import Backend, Calls
    from traffik.backends.postings import Held, Take
    from traffik.limits.combinations import Combination
    from traffik.limits.limit import Limit
    from traffik.model.callables import Context
    from traffik.responses.headers import PreparedPolicies

__all__ = ["Verdict", "hit_together", "remember", "take_all"]

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


def _noting_in_shadow(kind: int) -> Ask[Any] | None:
    """The same for a shadow limit: it decides by itself, since it must not refuse the others."""
    return read_only if kind == TRY else None


class Verdict(NamedTuple):
    """The decisions of several limits.

    Attributes:
        combination: the limits.
        decisions: of each; if another one refuses, with what is left untaken.
        binding: the place of the one that refuses longest or, if all admit, has the least left.
        holds: the units taken from each, if they are to be settled; None where nothing is counted. Empty if refused.
    """

    combination: Combination
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
        pairs = zip(self.combination.parts, self.decisions, strict=True)
        binding = self.combination.parts[self.binding]
        return [(part.limit.policies(decision), decision) for part, decision in pairs if part is not binding]


def remember(verdict: Verdict, subject: Any, usual: bool) -> Decision:
    """Store the decisions of throttles on the connection, the one that binds as the most recent. Returns that one."""
    combination, decisions, binding, _ = verdict
    decision = decisions[binding]
    if combination.rejects:
        memory = adapter_of(subject).memory(subject)
        last = combination.parts[binding][0]
        known = memory or combination.follows  # what is on the connection already matters
        for place, throttle in combination.throttles:
            if place != binding:
                if known:
                    throttle.remember(subject, decisions[place], usual, memory)
                else:
                    memory[throttle] = decisions[place]
        last.remember(subject, decision, usual, memory)
    return decision


async def take_all(
    combination: Combination, subject: Any, cost: int | None, context: Context | None, sync: bool, kind: int = TAKE
) -> Verdict:
    """Take units from several limits, all or nothing.

    Args:
        combination: the limits.
        subject: the connection or identity.
        cost: for limits without their own cost; `context` in the same way.
        sync: for sync code.
        kind: `TAKE`; `HOLD` to settle them later; `TRY` to change nothing.

    Raises:
        ConfigurationError: a hold is asked of a strategy that cannot settle, or the limits count in different stores,
            and what the first has handed out could not be given back.
    """
    noting, usual = _NOTING[kind], cost is None and context is None and kind != TRY
    answers: list[Any] = []
    answer: Any
    before: Any
    store: Any = None
    refused = divided = beside = incomplete = False
    for limit, price, own, whose, like in combination.steps:
        before = None if like is None else answers[like]
        repeated = limit.repeated if usual and price is None and type(before) is tuple else None
        if repeated is not None:  # there is nothing left to ask
            answer = repeated[0], before[1], repeated[1]
        else:
            key = before[1] if type(before) is tuple and not limit.bans else None
            ask: Ask[Any] | None = noting
            if limit.watched:
                beside, ask = True, _noting_in_shadow(kind) if limit.in_shadow else noting
            whom, units = subject if whose is None else whose, cost if price is None else price
            answer = await decide(limit, whom, units, context if own is None else own, sync, ask, key)
        answers.append(answer)
        if type(answer) is not tuple:
            incomplete, refused = True, refused or not answer.allowed
        elif store is not answer[0].store:
            divided, store = divided or store is not None, answer[0].store
    takes = [answer for answer in answers if type(answer) is tuple] if incomplete else answers
    if refused or not takes:
        decisions: list[Decision] = [ADMITTED if type(answer) is tuple else answer for answer in answers]
        return _new(Verdict, (combination, decisions, _binding(decisions), ()))
    if divided or kind == HOLD:
        decisions, held = await _take_held(takes, kind, sync)
    else:
        taken = _ask_store(store, takes, kind, sync)
        decisions, held = taken if isinstance(taken, Taken) else await taken
    if incomplete or beside or held:
        return await _finish(combination, takes, decisions, held, [*answers], kind, sync)
    return _new(Verdict, (combination, decisions, _binding(decisions), ()))


async def _finish(
    combination: Combination,
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
        answers[place] = combination.parts[place].limit.recorded(decision, key, units, its)
    holds: list[Hold | None] = [None] * len(answers)
    for place, (_, key, units), each in zip(places, takes, held, strict=False):
        holds[place] = each and Hold(combination.parts[place], each[0], key, units, each[1])
    if kind != TRY:
        await _charge_shadows(
            [(combination.parts[place].limit, answers[place]) for place in places], takes, holds, sync
        )
    return Verdict(combination, answers, _binding(answers), holds)


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
    combination: Combination, subject: Any, cost: int | None, context: Context | None, sync: bool, kind: int = TAKE
) -> Verdict:
    """Take units from several limits, remember the decisions of throttles, and reject the connection if one refuses."""
    if context is not None:
        check_context(context)
    verdict = await take_all(combination, subject, cost, context, sync, kind)
    decision = remember(verdict, subject, cost is None and context is None)
    if not decision.allowed and combination.rejects:
        part = combination.parts[verdict.binding]
        await refuse(part.limit, subject, decision, part.context_in(context), sync, verdict.others)
    return verdict


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


def _binding(decisions: Sequence[Decision]) -> int:
    """The place of the decision that refuses longest or, if all admit, has the least left."""
    found, refused, most = 0, False, UNBOUNDED
    for place, decision in enumerate(decisions):
        if decision[0]:
            if decision[2] < most and not refused:
                found, most = place, decision[2]
        elif not refused or decision[3] > most:
            found, refused, most = place, True, decision[3]
    return found
