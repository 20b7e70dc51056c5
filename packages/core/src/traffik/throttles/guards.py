"""Throttles in front of an endpoint: `hit_each` is how every decorator and middleware hits them, in every framework.

A connection hits each throttle once. If a middleware has hit it, a decorator that names the same throttle does not hit
it again, and neither does a second middleware. The first hit counts, with its cost, context and outcome. A hit in a
handler always counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

from traffik.adapters import adapter_of
from traffik.model.decisions import Decision
from traffik.model.descriptions import describe
from traffik.responses.rejections import Rejection, reject
from traffik.throttles import Throttle

__all__ = ["PreparedRejections", "Respond", "Throttles", "each_of", "hit_each", "is_preflight"]

Throttles: TypeAlias = Throttle[Any] | Iterable[Throttle[Any]]
"""What a middleware takes: one or several throttles, hit in this order. The first that refuses answers."""

Respond: TypeAlias = Callable[[Throttle[Any], Decision], object]
"""Makes the answer to a refusal by a throttle."""

_P = TypeVar("_P")

_PREPARED: Final = 1024
"""Answers kept ready. They differ in the quota left and in the seconds to wait."""


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
    """Hit the throttles that the connection has not hit yet, in this order, and handle a refusal.

    Args:
        throttles: the throttles to hit.
        connection: as in `Throttle.hit`, and so are `cost` and `context`.
        again: hit all of them, since an open WebSocket carries many messages.
        response: the class of the framework's responses. If the handler of a throttle that refuses returns one, that is
            the answer, and the remaining throttles are not hit.
        respond: makes the answer to a refusal by a throttle without a handler. If None, the adapter rejects the
            connection, usually with an exception.
        sync: whether the caller is sync code, which runs this with `traffik.model.coroutines.run_sync`.

    Returns:
        The answer to send instead of the endpoint's; None if the endpoint may run.

    Raises:
        Throttled: the connection is rejected with the framework's own error.
    """
    memory = adapter_of(connection).memory(connection)
    for throttle in throttles:
        if throttle in memory and not again:
            continue
        if sync:
            decision = throttle.sync.decide(connection, cost, context)
        else:
            decision = await throttle.decide(connection, cost, context)
        if decision.allowed:
            continue
        if respond is not None and throttle.handler is None:
            return respond(throttle, decision)
        if sync:
            answer = throttle.sync.refuse(connection, decision, context)
        else:
            answer = await throttle.refuse(connection, decision, context)
        if response is not None and isinstance(answer, response):
            return answer
    return None


class PreparedRejections(Generic[_P]):
    """Answers to refusals, each made once for all refusals that read the same.

    Args:
        make: turns a rejection into the answer that the framework sends.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[Rejection], _P]) -> None:
        self._make = make
        self._made: dict[object, _P] = {}

    def __call__(self, throttle: Throttle[Any], decision: Decision) -> _P:
        """The answer to a refusal by `throttle`."""
        policies = throttle.policies(decision)
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
        TypeError: something else is among them.
    """
    each: tuple[object, ...] = (throttles,)
    if isinstance(throttles, Iterable) and not isinstance(throttles, str):
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
