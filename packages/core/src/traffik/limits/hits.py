"""The hit: one path for every form of it, in async and in sync code.

`decide`, `stat`, `reset` and `refuse` are coroutine functions that await only awaitable results. Async code awaits
them. Sync code runs them with `run_sync`: with ``sync=True`` they make the blocking calls of the store and reject async
functions, so they never suspend. A limit prepares as much as it can in `Limit.refresh`. Options that a limit does not
use are not looked up here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeAlias, overload

from traffik.adapters import adapter_of, socket_adapter_of
from traffik.events.records import HIT, SILENT
from traffik.identities.proxies import DENIED, EXEMPTED
from traffik.limits import timing
from traffik.model.coroutines import must_wait
from traffik.model.costs import MAX_COST, check_cost
from traffik.model.decisions import ADMITTED, REFUSED, Decision, StrategyStat
from traffik.model.keys import as_text, local_key
from traffik.model.rates import UNLIMITED
from traffik.responses.rejections import reject

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from traffik.backends.base import Calls
    from traffik.limits.limit import Limit
    from traffik.limits.prepared import BoundPlan
    from traffik.model.callables import Callback, Context
    from traffik.responses.headers import PreparedPolicies
    from traffik.strategies import Plan

    T = TypeVar("T", bound=tuple[Any, ...], default=Decision)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Ask", "AskCall", "account_of", "applies", "decide", "read_only", "refuse", "reset", "stat"]


AskCall: TypeAlias = "Callable[[Calls, str, int], T | Awaitable[T]]"
"""A function to call with the calls to the store, the key and the cost, instead of charging the cost."""


class Ask(NamedTuple, Generic[T]):
    """What a hit does instead of charging the store.

    Attributes:
        call: returns the decision, which the caller records, or another tuple, such as the data for a later charge.
        action: the action to record for a decision that needs no store.
    """

    call: AskCall[T]
    action: str


@overload
async def decide(limit: Limit, subject: Any, cost: int | None, context: Context | None, sync: bool) -> Decision: ...


@overload
async def decide(
    limit: Limit,
    subject: Any,
    cost: int | None,
    context: Context | None,
    sync: bool,
    ask: Ask[T] | None,
    key: str | None = None,
) -> Decision | T: ...


async def decide(
    limit: Limit, subject: Any, cost: Any, context: Any, sync: bool, ask: Any = None, key: str | None = None
) -> Any:
    """Decide on a hit of `subject`, and charge the cost if it is admitted; with `ask`, return its answer instead.

    If the local key of the subject is known, pass it as `key`. Then the subject is not identified again.
    """
    bound: BoundPlan | None = None
    if cost is None and context is None and limit.usual is not None:
        context, scope, cost, bound = limit.usual
    else:
        context, scope = (limit.context, limit.scope) if context is None else limit.merged(context)
        if limit.gated and not await applies(limit, subject, cost, context, sync):
            return ADMITTED
        if cost is None:
            cost = limit.cost if limit.price is None else limit.price.call(subject, context)
            if limit.price is not None and must_wait(cost, limit.price.name, sync):
                cost = await cost
        if (type(cost) is not int or not 0 < cost <= MAX_COST) and (cost := check_cost(cost)) == 0:
            return ADMITTED
    if key is None:
        identity = subject if limit.identify is None else limit.identify(subject, context)
        if type(identity) is not str:
            identity = _checked(limit, (await identity) if must_wait(identity, limit.identified_by, sync) else identity)
            if isinstance(identity, Decision):
                return limit.note(identity, "", cost, HIT if ask is None else ask.action)
        key = local_key(scope, identity)
    if bound is None:
        bound = limit.bound
        if limit.rating is not None:
            rates = limit.rating.call(subject, context)
            bound = limit.bound_for((await rates) if must_wait(rates, limit.rating.name, sync) else rates)
        if cost > bound.plan.ceiling:
            return limit.recorded(bound.plan.without_store(cost), key, cost, HIT if ask is None else ask.action)
    calls = (bound.sync_calls if sync else bound.calls) or limit.calls_for(subject, bound.plan, sync)
    if ask is not None:
        answer = ask.call(calls, key, cost)
        answer = answer if isinstance(answer, tuple) else await answer
        return limit.marked(answer, key) if limit.keyed and isinstance(answer, Decision) else answer
    answer = calls.charge(key, cost)
    decision = answer if type(answer) is Decision or isinstance(answer, Decision) else await answer
    return decision if limit.finish is None else limit.finish(decision, key, cost, HIT)


read_only: Final = Ask(lambda calls, key, cost: calls.read(key, cost), SILENT)
"""The `ask` of a check: decide and charge nothing."""


async def stat(limit: Limit, subject: Any, context: Context | None, sync: bool) -> StrategyStat | None:
    """The remaining quota of `subject`; None if it is exempted or denied, or if the strategy cannot tell."""
    found = await account_of(limit, subject, context, sync)
    if found is None:
        return None
    key, plan, calls = found
    if not plan.stats:
        return None
    decision: Decision = ADMITTED
    if plan.rates:
        answer = calls.read(key, 0)
        decision = answer if isinstance(answer, Decision) else await answer
    whole = limit.store(subject).partition_key(limit.uid, key)
    return StrategyStat(decision.remaining, decision.wait_ms, decision.rate or UNLIMITED, whole)


async def reset(limit: Limit, subject: Any, context: Context | None, sync: bool) -> None:
    """Forget the usage of `subject`."""
    found = await account_of(limit, subject, context, sync)
    if found is not None:
        key, _, calls = found
        answer = calls.reset(key)
        if answer is not None:
            await answer


async def refuse(
    limit: Limit,
    connection: Any,
    decision: Decision,
    context: Context | None,
    sync: bool,
    others: Sequence[tuple[PreparedPolicies, Decision]] = (),
) -> object:
    """Reject a connection through the limit's handler or the framework; then pause or close a flooding WebSocket.

    `others` are policies that were decided in the same step. The header fields show them too.
    Returns the result of the limit's handler, or None if there is no handler.
    """
    floods = limit.floods
    adapter = None if floods is None else socket_adapter_of(connection)
    if floods is None or adapter is None or not adapter.accepted(connection):
        return await _notify(limit, connection, decision, context, sync, others)
    reaction = floods.reaction(adapter.memory(connection).get(limit, decision))
    answer: object = None
    if reaction.tell:
        answer = await _notify(limit, connection, decision, context, sync, others)
    if reaction.close is not None:
        rejection = reject(decision, limit.policies(decision))
        await _done(adapter.close(connection, rejection, reaction.close), "closing", connection, sync)
    elif reaction.pause:
        pause = adapter.pause(connection, partial(timing.sleep, reaction.pause))
        await _done(pause, "the pause", connection, sync)
    return answer


async def _notify(
    limit: Limit,
    connection: Any,
    decision: Decision,
    context: Context | None,
    sync: bool,
    others: Sequence[tuple[PreparedPolicies, Decision]],
) -> object:
    handler = limit.handler
    if handler is not None:
        merged = limit.context if context is None else limit.merged(context)[0]
        return await _answer(handler, sync, connection, decision, limit, merged)
    rejection = reject(decision, limit.policies(decision), others)
    await _done(adapter_of(connection).reject(connection, rejection), "the rejection", connection, sync)
    return None


async def _done(doing: Awaitable[None] | None, what: str, connection: Any, sync: bool) -> None:
    """Await the result of an adapter's method, if it is awaitable."""
    if must_wait(doing, f"{what} of a {type(connection).__name__}", sync):
        await doing


async def applies(limit: Limit, connection: Any, cost: int | None, context: Context, sync: bool) -> bool:
    """Whether the limit is enabled and for the connection. Predicates are called only if nothing else decides."""
    if cost is not None:
        check_cost(cost)
    rules = limit.rules
    if not limit.enabled or rules is None:
        return limit.enabled
    adapter = adapter_of(connection)
    route = adapter.route(connection) if rules.by_route else None
    verdict = rules.judge(adapter.method(connection), adapter.path(connection), route)
    if verdict is True or verdict is False:
        return verdict
    for predicate in verdict.bypasses:
        if await _answer(predicate, sync, connection, context):
            return False
    for predicate in verdict.applies:
        if await _answer(predicate, sync, connection, context):
            return True
    return not verdict.applies


async def account_of(limit: Limit, subject: Any, context: Context | None, sync: bool) -> tuple[str, Plan, Calls] | None:
    """The key of `subject`, with the plan and the store's calls for it; None if it is exempted or denied."""
    context, scope = (limit.context, limit.scope) if context is None else limit.merged(context)
    identity = subject if limit.identify is None else limit.identify(subject, context)
    identity = _checked(limit, (await identity) if must_wait(identity, limit.identified_by, sync) else identity)
    if isinstance(identity, Decision):
        return None
    bound = limit.bound
    if limit.rating is not None:
        bound = limit.bound_for(await _answer(limit.rating, sync, subject, context))
    calls = bound.sync_calls if sync else bound.calls
    return local_key(scope, identity), bound.plan, calls or limit.calls_for(subject, bound.plan, sync)


def _checked(limit: Limit, identity: object) -> str | Decision:
    """An identity as text; the decision if it is exempted, denied or banned."""
    if identity is EXEMPTED:
        return ADMITTED
    if identity is DENIED:
        return REFUSED
    if isinstance(identity, Decision):  # of a banned client
        return identity
    if identity is None and limit.rejects:
        raise TypeError(
            f"{limit.identified_by} has returned None: return text, an integer or a UUID, or EXEMPTED for a client "
            f"without a limit; first_of(…, address()) limits the others by address"
        )
    return as_text(identity, limit.identified_by)


async def _answer(callback: Callback, sync: bool, *arguments: Any) -> Any:
    """The result of a user's function, sync or async."""
    answer = callback.call(*arguments)
    return (await answer) if must_wait(answer, callback.name, sync) else answer
