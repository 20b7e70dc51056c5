"""Units of limits after the hit: give them back, charge more, take what is left, or plan ahead.

As in `traffik.limits.hits`, async code awaits these coroutine functions, and sync code steps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from traffik.backends.postings import FORESEE, SETTLE, TAKE_UP_TO, Posting, as_counted_by, check_settles, settle_surely
from traffik.events.records import CHARGE_ALWAYS, REFUND, TAKE_SOME
from traffik.limits.hits import account_of, applies
from traffik.model.callables import check_context
from traffik.model.costs import check_cost
from traffik.model.decisions import ADMITTED, Decision, SettledDecision

if TYPE_CHECKING:
    from traffik.backends.base import Backend
    from traffik.backends.postings import LimitAccount, Posted
    from traffik.limits.combinations import Hit
    from traffik.model.callables import Context
    from traffik.strategies import Receipt

__all__ = ["Hold", "foresee", "give_back", "hold_on", "settle_all", "take_up_to"]


class Hold(NamedTuple):
    """Units of one limit that can be settled.

    Attributes:
        part: the limit, as it was hit.
        account: the limit in its store.
        key: the local key.
        units: how many were taken; 0 if none were.
        receipt: what settling needs to know about the hit; None if there was none.
    """

    part: Hit
    account: LimitAccount
    key: str
    units: int = 0
    receipt: tuple[Receipt, ...] | None = None


async def give_back(holds: Iterable[Hold | None], sync: bool) -> None:
    """Give back all units of holds whose caller will not settle them."""
    taken = [hold for hold in holds if hold is not None and hold.units]
    await settle_surely([_settling(hold, -hold.units) for hold in taken], sync)


def _settling(hold: Hold, units: int) -> Posting:
    """The posting that settles a hold, by the rate that its limit counts by now."""
    posting = Posting(SETTLE, hold.account, hold.key, units, hold.receipt)
    limit, counted = hold.part.limit, hold.account
    if limit.rating is not None or limit.own_plan.rates == counted.plan.rates:
        return posting
    calls = limit.bound.calls
    if calls is not None and calls.account.store is counted.store:
        return as_counted_by(posting, calls.account)
    return as_counted_by(posting, counted.store.account(counted.uid, limit.own_plan))


async def settle_all(holds: Sequence[tuple[Hold, int]], sync: bool) -> list[SettledDecision]:
    """Give back (units below 0) or charge in any case (above 0), in one step for those of one store."""
    for hold, _ in holds:
        check_settles(hold.account)
    postings = [_settling(hold, units) for hold, units in holds]
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
    """Take the units that are left, up to `most`. Returns how many."""
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


async def _post(store: Backend, postings: Sequence[Posting], sync: bool) -> list[Posted]:
    answers = store.post(postings, sync=sync)
    return answers if isinstance(answers, list) else await answers
