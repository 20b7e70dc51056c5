"""Throttles in front of an endpoint: the decorators and middlewares of all frameworks hit them with `hit_each`.

A connection hits each throttle once. After a middleware has hit a throttle, a decorator or a second middleware with the
same throttle does not hit it again. The first hit counts, with its cost and context. A hit in a handler always counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from traffik.adapters import adapter_of
from traffik.limits import hits
from traffik.limits.combinations import combination_of
from traffik.limits.composing import remember, take_all
from traffik.model.decisions import Decision
from traffik.model.descriptions import describe
from traffik.responses.headers import PreparedPolicies
from traffik.responses.rejections import Rejection, reject
from traffik.throttles import Throttle

__all__ = ["Others", "PreparedRejections", "Respond", "Throttles", "each_of", "hit_each", "is_preflight"]

Throttles: TypeAlias = Throttle[Any] | Iterable[Throttle[Any]] | Mapping[str, Throttle[Any]]
"""The throttles of a middleware: one, several, or those of `traffik.load_throttles`.

They are hit as one, and the one with the longest wait rejects.
"""

Others: TypeAlias = Sequence[tuple[PreparedPolicies, Decision]]
"""The policies and decisions of the throttles that were hit in the same step."""

Respond: TypeAlias = Callable[[Throttle[Any], Decision, Others], object]
"""A function that makes the response to a refusal by a throttle."""

_P = TypeVar("_P")

_PREPARED: Final = 1024
"""How many responses are cached. They differ in the remaining quota and in the seconds to wait."""


async def hit_each(
    throttles: Iterable[Throttle[Any]],
    connection: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    *,
    again: bool = False,
    response: type | None = None,
    respond: Respond | None = None,
    sync: bool = False,
) -> object:
    """Hit the throttles that the connection has not hit yet as one, all or nothing, and handle a refusal.

    Args:
        throttles: the throttles to hit.
        connection: as in `Throttle.hit`, and so are `cost` and `context`.
        again: hit all throttles, for the messages of an open WebSocket.
        response: the class of the framework's responses. If the handler of the refusing throttle returns one, it is
            sent.
        respond: makes the response to a refusal by a throttle without a handler. If None, the adapter rejects the
            connection, usually with an exception.
        sync: whether the caller is sync code, which runs this with `traffik.model.coroutines.run_sync`.

    Returns:
        The response to send instead of that of the endpoint; None if the endpoint may run.

    Raises:
        Throttled: the connection is rejected with the framework's own error.
    """
    memory = adapter_of(connection).memory(connection)
    chosen = [throttle for throttle in dict.fromkeys(throttles) if again or throttle not in memory]
    usual = cost is None and context is None
    others: Others = ()
    if not chosen:
        return None
    throttle = chosen[0]
    if len(chosen) == 1:
        decision = await hits.decide(throttle, connection, cost, context, sync)
        throttle.remember(connection, decision, usual)
    else:
        verdict = await take_all(combination_of(tuple(chosen)), connection, cost, context, sync)
        decision = remember(verdict, connection, usual)
        throttle, others = chosen[verdict.binding], verdict.others
    if decision.allowed:
        return None
    if respond is not None and throttle.handler is None:
        return respond(throttle, decision, others)
    answer = await hits.refuse(throttle, connection, decision, context, sync, others)
    return answer if response is not None and isinstance(answer, response) else None


class PreparedRejections(Generic[_P]):
    """A cache of the responses to refusals. Refusals with equal responses share one.

    Args:
        make: turns a rejection into a response of the framework.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[Rejection], _P]) -> None:
        self._make = make
        self._made: dict[object, _P] = {}

    def __call__(self, throttle: Throttle[Any], decision: Decision, others: Others = ()) -> _P:
        """The response to a refusal by `throttle`."""
        policies = throttle.policies(decision)
        if others:
            return self._make(reject(decision, policies, others))
        key = policies.likeness(decision)
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= _PREPARED:
                self._made.clear()
            made = self._made[key] = self._make(reject(decision, policies))
        return made


def each_of(throttles: Throttles) -> tuple[Throttle[Any], ...]:
    """One or several throttles as a tuple.

    Raises:
        TypeError: an element is not a throttle.
    """
    each: tuple[object, ...] = (throttles,)
    if isinstance(throttles, Mapping):
        each = tuple(throttles.values())
    elif isinstance(throttles, Iterable) and not isinstance(throttles, str):
        each = tuple(throttles)
    found = tuple(throttle for throttle in each if isinstance(throttle, Throttle))
    for throttle in each:
        if throttle not in found:
            raise TypeError(
                f"the middleware takes throttles, such as HTTPThrottle(uid, rate), not {describe(throttle)}"
            )
    return found


def is_preflight(connection: Any) -> bool:
    """Whether the request is a CORS preflight, which a browser sends before a request to another site."""
    adapter = adapter_of(connection)
    return (
        adapter.method(connection) == "OPTIONS"
        and len(adapter.headers(connection, "origin")) > 0
        and len(adapter.headers(connection, "access-control-request-method")) > 0
    )
