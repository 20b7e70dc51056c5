"""Throttles in front of code that a framework calls: what decorators and middlewares of every adapter have in common.

They hit a throttle once for each connection, whoever of them comes first: what a middleware has counted, a decorator
that names the same throttle leaves alone, and so does a second middleware. The first count stands, with its cost, its
context and its outcome. (A hit in a handler is said in so many words, and always counts.)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from traffik.adapters import adapter_of
from traffik.limits.limit import check_context
from traffik.model.costs import check_cost
from traffik.model.rates import Rate
from traffik.throttles import HTTPThrottle, Throttle
from traffik.throttles.naming import uid_of

__all__ = [
    "Throttles",
    "check_call",
    "each_of",
    "guards_for",
    "hit_each",
    "hit_each_sync",
    "is_async_callable",
    "is_generator_callable",
    "is_preflight",
    "rates_among",
]

Throttles: TypeAlias = Throttle[Any] | Iterable[Throttle[Any]]
"""What a middleware takes: one or several, hit in this order; the first that refuses answers."""


async def hit_each(
    throttles: Iterable[Throttle[Any]],
    connection: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    *,
    again: bool = False,
    response: type | None = None,
) -> object:
    """Hit those of `throttles`, in this order, that have not been hit by the connection; else as `Throttle.hit`.

    Args:
        throttles: what to hit.
        connection: as in `Throttle.hit`, and so are `cost` and `context`.
        again: hit all of them: an open WebSocket stands for many messages.
        response: the class of what the framework can send. If the handler of a throttle that refuses answers one, that
            is the answer, and no more is hit.

    Returns:
        Such an answer, to be sent instead of what would have come; else None.
    """
    memory = adapter_of(connection).memory(connection)
    for throttle in throttles:
        if again or throttle not in memory:
            decision = await throttle.decide(connection, cost, context)
            if not decision.allowed:
                answer = await throttle.refuse(connection, decision, context)
                if response is not None and isinstance(answer, response):
                    return answer
    return None


def hit_each_sync(
    throttles: Iterable[Throttle[Any]],
    connection: Any,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    *,
    response: type | None = None,
) -> object:
    """`hit_each` for sync code."""
    memory = adapter_of(connection).memory(connection)
    for throttle in throttles:
        if throttle not in memory:
            decision = throttle.sync.decide(connection, cost, context)
            if not decision.allowed:
                answer = throttle.sync.refuse(connection, decision, context)
                if response is not None and isinstance(answer, response):
                    return answer
    return None


def each_of(throttles: Throttles) -> tuple[Throttle[Any], ...]:
    """One throttle or several, as several.

    Raises:
        TypeError: something else is among them.
    """
    each: tuple[object, ...] = (throttles,)
    if isinstance(throttles, Iterable) and not isinstance(throttles, str):
        each = tuple(throttles)
    found = tuple(throttle for throttle in each if isinstance(throttle, Throttle))
    for throttle in each:
        if throttle not in found:
            raise TypeError(f"the middleware takes throttles, such as HTTPThrottle(uid, rate), not {throttle!r}")
    return found


def rates_among(
    given: Sequence[object], options: Mapping[str, Any], is_name: Callable[[str], bool] | None = None
) -> list[Rate | str]:
    """The rates among what a decorator was given; the rest are throttles or, if `is_name` is given, names of them.

    Args:
        given: throttles, rates, and names.
        options: of a throttle that is made for the rates.
        is_name: whether a text names a throttle; None where none does.

    Raises:
        TypeError: nothing is given, options are given but no rate, or something that is none of these.
    """
    rates = [
        each for each in given if isinstance(each, Rate) or (isinstance(each, str) and not (is_name and is_name(each)))
    ]
    if not given or not all(isinstance(each, Throttle | Rate | str) for each in given):
        names = ", names of throttles" if is_name else ""
        raise TypeError(f"throttled takes throttles{names} or rates, at least one: {given!r}")
    if options and not rates:
        raise TypeError(f"{', '.join(options)}: options are for rates; a throttle has its own")
    return rates


def guards_for(
    endpoint: Callable[..., Any], given: Sequence[Throttle[Any] | Rate | str], options: Mapping[str, Any]
) -> list[Throttle[Any]]:
    """The throttles among what a decorator was given, and one for the rates, named after the endpoint.

    Raises:
        TypeError: as `rates_among`, or the endpoint has no name.
    """
    rates = rates_among(given, options)
    guards = [each for each in given if isinstance(each, Throttle)]
    if rates:
        settings: dict[str, Any] = {"rate": rates, **options}
        if "uid" not in settings:
            settings["uid"] = uid_of(endpoint)
        guards.append(HTTPThrottle(**settings))
    return guards


def check_call(cost: object, context: Mapping[str, Any] | None) -> None:
    """See whether hits can have this cost and context, which a decorator was given for all of them.

    Raises:
        TypeError, ValueError: they cannot.
    """
    if callable(cost):
        raise TypeError(
            f"the cost of a decorator is an integer, not {cost!r}: give a function to the throttle, as in "
            f"throttled(HTTPThrottle(uid, rate, cost={getattr(cost, '__name__', 'function')}))"
        )
    if cost is not None:
        check_cost(cost)
    check_context(context)


def is_preflight(connection: Any) -> bool:
    """Whether a browser asks, before a request to another site, whether the site allows it (a CORS preflight)."""
    adapter = adapter_of(connection)
    return (
        adapter.method(connection) == "OPTIONS"
        and len(adapter.headers(connection, "origin")) > 0
        and len(adapter.headers(connection, "access-control-request-method")) > 0
    )


def is_async_callable(endpoint: Callable[..., Any]) -> bool:
    """Whether calling the endpoint, a function or an object, gives something to await."""
    return any(map(inspect.iscoroutinefunction, _functions(endpoint)))


def is_generator_callable(endpoint: Callable[..., Any]) -> bool:
    """Whether calling the endpoint, a function or an object, gives a generator, sync or async."""
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in _functions(endpoint))


def _functions(endpoint: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """The endpoint itself, and what runs when it is an object that is called."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    return endpoint, type(endpoint).__call__
