"""What a hit, a check and a stat are, as steps: the one source for async and sync code.

A recipe calls what is known to be sync on the spot, and yields a step only where something may really wait; so a hit
whose parts are all at hand yields none. It reads no clock and does no I/O itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from traffik import _drivers
from traffik._drivers import Apply, Recipe, Reset, Wait, drive
from traffik.adapters import adapter_of, socket_adapter_of
from traffik.backends.base import Charge
from traffik.clients import DENIED, EXEMPTED
from traffik.costs import MAX_COST, check_cost
from traffik.decisions import ADMITTED, REFUSED, Decision, StrategyStat
from traffik.keys import MAX_LENGTH, as_text, local_key
from traffik.rates import UNLIMITED
from traffik.rejections import reject

if TYPE_CHECKING:
    from traffik._callables import Callback, Context
    from traffik.limits import Limit
    from traffik.rules import RuleSet
    from traffik.strategies import Plan
    from traffik.throttles import Throttle

__all__ = ["begin", "decide", "merged", "refuse", "reset", "start", "stat"]

A = TypeVar("A")


def refuse(throttle: Throttle[Any], connection: Any, decision: Decision, context: Context | None) -> Recipe[object]:
    """Tell a refused client, in the throttle's own way or else the framework's; then hold it back or close it.

    What the throttle's handler answers comes back; None if it was not asked.
    """
    floods = throttle.floods
    adapter = None if floods is None else socket_adapter_of(connection)
    if floods is None or adapter is None or not adapter.accepted(connection):
        return (yield from _tell(throttle, connection, decision, context))
    reaction = floods.reaction(adapter.memory(connection).get(throttle, decision))
    answer: object = None
    if reaction.tell:
        answer = yield from _tell(throttle, connection, decision, context)
    if reaction.close is not None:
        rejection = reject(decision, throttle.policies(decision))
        yield from _done(adapter.close(connection, rejection, reaction.close), "closing", connection)
    elif reaction.pause:
        yield from _done(adapter.pause(connection, partial(_drivers.sleep, reaction.pause)), "the pause", connection)
    return answer


def _tell(throttle: Throttle[Any], connection: Any, decision: Decision, context: Context | None) -> Recipe[object]:
    if throttle.handler is not None:
        return (yield from _answer(throttle.handler, connection, decision, throttle, merged(throttle, context)))
    rejection = reject(decision, throttle.policies(decision))
    yield from _done(adapter_of(connection).reject(connection, rejection), "the rejection", connection)
    return None


def _done(doing: Awaitable[None] | None, what: str, connection: Any) -> Recipe[None]:
    """Wait for what an adapter does with a connection, if it has to be waited for."""
    if doing is not None:
        yield Wait(doing, f"{what} of a {type(connection).__name__}")


def begin(limit: Limit, subject: Any, cost: int | None, context: Context | None) -> Decision | Recipe[Decision]:
    """Take the cost on the spot, if all it needs is at hand; else the recipe that goes on from here."""
    # Each way is read once: another thread may close it.
    short, ruled, rules = limit.short, limit.ruled_short, limit.rules
    if ruled is not None and rules is not None and context is None:
        verdict = rules.judge(*_head(subject))
        if verdict is False and cost is None:
            return ADMITTED
        short = ruled if verdict is True else None
    if short is not None and context is None:
        begun = _at_hand(limit, short, subject, cost)
        if begun is not None:
            return begun
    return decide(limit, subject, cost, context)


def start(limit: Limit, subject: Any, cost: int | None, context: Context | None) -> Decision | Awaitable[Decision]:
    """`begin` for async code: the decision, or what to wait for."""
    begun: Decision | Awaitable[Decision] | Recipe[Decision] | None = None
    far, ruled, rules = limit.far, limit.ruled_far, limit.rules
    if ruled is not None and rules is not None and context is None:
        verdict = rules.judge(*_head(subject))
        if verdict is False and cost is None:
            return ADMITTED
        far = ruled if verdict is True else None
    if far is not None and context is None:
        begun = _at_hand(limit, far, subject, cost)
    if begun is None:
        begun = begin(limit, subject, cost, context)
    return begun if isinstance(begun, Decision | Awaitable) else drive(begun)


def _at_hand(
    limit: Limit, way: tuple[Callable[[str, int], A], int, int], subject: Any, cost: int | None
) -> A | Recipe[Decision] | None:
    """What a short way answers, or the recipe if the identity is no text; None where the way is not open."""
    take, ceiling, units = way
    if cost is not None:
        if type(cost) is not int or not 0 < cost <= ceiling:
            return None
        units = cost
    identifier = limit.identifier
    identity = limit.identity(subject) if identifier is None else identifier.call(subject, limit.context)
    if type(identity) is str:
        plain = identity >= "\x01" and len(identity) <= MAX_LENGTH  # `local_key` would leave it as it is
        return take(identity if plain else local_key(None, identity), units)
    return _begun(limit, subject, identity, units)


def _begun(limit: Limit, subject: Any, identity: object, cost: int) -> Recipe[Decision]:
    """The rest of `begin` for an identity that is no text: exempted or denied, of another kind, or to be waited for."""
    key = yield from _key(limit, identity, limit.context)
    if isinstance(key, Decision):
        return key
    return (yield from _charged(limit, subject, limit.plan, key, cost, read_only=False))


def decide(
    limit: Limit, subject: Any, cost: int | None, context: Context | None, read_only: bool = False
) -> Recipe[Decision]:
    """Decide whether `subject` may have `cost`; take it unless `read_only`."""
    if not limit.enabled:
        return ADMITTED
    context = merged(limit, context)
    if limit.rules is not None:
        if cost is not None:
            check_cost(cost)
        if not (yield from _applies(limit.rules, subject, context)):
            return ADMITTED
    if cost is None:
        cost = limit.cost if limit.price is None else (yield from _answer(limit.price, subject, context))
    if type(cost) is not int or not 0 < cost <= MAX_COST:
        cost = check_cost(cost)
        if cost == 0:
            return ADMITTED
    key = yield from _key(limit, _who(limit, subject, context), context)
    if isinstance(key, Decision):
        return key
    plan = limit.plan if limit.rating is None else (yield from _plan(limit, limit.rating, subject, context))
    if cost > plan.ceiling:
        return limit.marked(plan.without_store(cost), key)
    if read_only and not plan.stats:
        return ADMITTED
    return (yield from _charged(limit, subject, plan, key, cost, read_only))


def _charged(limit: Limit, subject: Any, plan: Plan, key: str, cost: int, read_only: bool) -> Recipe[Decision]:
    """The store's decision."""
    backend = limit.store(subject)
    if backend.in_process:
        return limit.marked((backend.peek if read_only else backend.charge)(limit.uid, plan, key, cost), key)
    decisions: list[Decision] = yield Apply(backend, (Charge(limit.uid, plan, key, cost, read_only),))
    return limit.marked(decisions[0], key)


def stat(limit: Limit, subject: Any, context: Context | None) -> Recipe[StrategyStat | None]:
    """What is left for `subject`; None if it is exempted or denied, or the strategy cannot tell."""
    context = merged(limit, context)
    key = yield from _key(limit, _who(limit, subject, context), context)
    plan = limit.plan if limit.rating is None else (yield from _plan(limit, limit.rating, subject, context))
    if isinstance(key, Decision) or not plan.stats:
        return None
    backend = limit.store(subject)
    decision: Decision = ADMITTED
    if plan.rates:
        decision = (yield Apply(backend, (Charge(limit.uid, plan, key, 0, read_only=True),)))[0]
    whole = backend.partition_key(limit.uid, key)
    return StrategyStat(decision.remaining, decision.wait_ms, decision.rate or UNLIMITED, whole)


def reset(limit: Limit, subject: Any, context: Context | None) -> Recipe[None]:
    """Forget what `subject` has used."""
    context = merged(limit, context)
    key = yield from _key(limit, _who(limit, subject, context), context)
    if not isinstance(key, Decision):
        yield Reset(limit.store(subject), limit.uid, key)


def merged(limit: Limit, context: Context | None) -> Context:
    """The limit's own context under the one given with the call, which wins."""
    if context is None:
        return limit.context
    return {**limit.context, **context} if limit.context else context


def _applies(rules: RuleSet, connection: Any, context: Context) -> Recipe[bool]:
    """Whether rules are for `connection`; a predicate is asked only if nothing else tells."""
    verdict = rules.judge(*_head(connection))
    if isinstance(verdict, bool):
        return verdict
    for predicate in verdict.bypasses:
        if (yield from _answer(predicate, connection, context)):
            return False
    for predicate in verdict.applies:
        if (yield from _answer(predicate, connection, context)):
            return True
    return not verdict.applies


def _head(connection: Any) -> tuple[str, str]:
    """What rules are about: the method and the path."""
    adapter = adapter_of(connection)
    return adapter.method(connection), adapter.path(connection)


def _who(limit: Limit, subject: Any, context: Context) -> object:
    """What answers for the identity of `subject`; it may have to be waited for."""
    return limit.identity(subject) if limit.identifier is None else limit.identifier.call(subject, context)


def _key(limit: Limit, identity: object, context: Context) -> Recipe[str | Decision]:
    """The local key of an identity in the scope that `context` says; the decision if it is exempted or denied."""
    who = "the identity" if limit.identifier is None else limit.identifier.name
    if type(identity) is not str:
        if isinstance(identity, Awaitable):
            identity = yield Wait(identity, who)
        if identity is EXEMPTED:
            return ADMITTED
        if identity is DENIED:
            return REFUSED
    scope = context.get("scope") if context else None
    if scope is not None:
        scope = as_text(scope, "the scope")
        if limit.scopes is not None:
            limit.note_scope(scope)
    return local_key(scope, as_text(identity, who))


def _plan(limit: Limit, rating: Callback, subject: Any, context: Context) -> Recipe[Plan]:
    """The plan for the rate that a callable one answers for `subject`."""
    return limit.plan_for((yield from _answer(rating, subject, context)))


def _answer(callback: Callback, *arguments: Any) -> Recipe[Any]:
    """What a caller's function answers, sync or async."""
    answer = callback.call(*arguments)
    if isinstance(answer, str | int) or not isinstance(answer, Awaitable):
        return answer
    return (yield Wait(answer, callback.name))
