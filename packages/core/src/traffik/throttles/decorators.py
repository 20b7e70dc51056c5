"""The common part of the decorators `throttled` of all frameworks: their arguments, and the function they return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from traffik.limits.limit import Limit
from traffik.limits.options import check_options
from traffik.model.callables import check_context
from traffik.model.costs import check_cost
from traffik.model.descriptions import describe
from traffik.model.rates import Rate
from traffik.throttles import HTTPThrottle, Throttle
from traffik.throttles.naming import uid_of

__all__ = [
    "check_arguments",
    "check_call",
    "check_order",
    "guard_function",
    "guards_for",
    "is_async_callable",
    "is_generator_callable",
    "rates_among",
]


def rates_among(
    given: Sequence[object], options: Mapping[str, Any], is_name: Callable[[str], bool] | None = None
) -> list[Rate | str]:
    """The rates among the arguments of a decorator. The rest are throttles or, with `is_name`, names of throttles.

    Args:
        given: throttles, rates, and names.
        options: the options of the throttle that is made for the rates.
        is_name: whether a text is the name of a throttle; None if throttles have no names.

    Raises:
        TypeError: nothing is given, there are options and no rate, or an argument is none of these.
    """
    rates = [
        each for each in given if isinstance(each, Rate) or (isinstance(each, str) and not (is_name and is_name(each)))
    ]
    if not given:
        check_options(HTTPThrottle, options)  # the rate may be among them, under the name that another limiter uses
    if not given or not all(isinstance(each, Throttle | Rate | str) for each in given):
        names = ", names of throttles" if is_name else ""
        raise TypeError(
            f"throttled takes throttles{names} or rates, at least one: {describe(given)}{_advice_on(given)}"
        )
    if options and not rates:
        raise TypeError(f"{', '.join(options)}: options are for rates; a throttle has its own")
    return rates


def _advice_on(given: Sequence[object]) -> str:
    """What to write in place of arguments that are neither throttles nor rates, if that can be guessed."""
    if len(given) == 1 and inspect.isroutine(given[0]):
        return '; write @throttled("10/min"), with a rate in parentheses'
    if any(isinstance(each, Limit) for each in given):
        return "; a decorator limits requests, so make an HTTPThrottle"
    return ""


def check_arguments(
    given: Sequence[object],
    options: Mapping[str, Any],
    cost: object,
    context: Mapping[str, Any] | None,
    is_name: Callable[[str], bool] | None = None,
) -> list[Rate | str]:
    """Check the arguments of a decorator before it has an endpoint. Returns the rates among them.

    Raises:
        TypeError: as `rates_among` and `check_call`.
        ValueError: as `check_call`.
    """
    check_call(cost, context)
    return rates_among(given, options, is_name)


def guard_function(
    endpoint: Callable[..., Any],
    find: Callable[[tuple[Any, ...], dict[str, Any]], Any],
    hit: Callable[[Any], Any],
    *,
    is_async: bool,
) -> Any:
    """The function that a decorator returns: it hits throttles, and calls the endpoint unless they return a response.

    Args:
        endpoint: the decorated function.
        find: finds the connection in the arguments of a call.
        hit: hits the throttles of a connection, as `hit_each` does; for a sync endpoint a sync function.
        is_async: whether the caller awaits the endpoint.
    """

    @functools.wraps(endpoint)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        answer = await hit(find(args, kwargs))
        if answer is not None:
            return answer
        answer = endpoint(*args, **kwargs)
        return await answer if inspect.isawaitable(answer) else answer

    @functools.wraps(endpoint)
    def guarded_sync(*args: Any, **kwargs: Any) -> Any:
        answer = hit(find(args, kwargs))
        return endpoint(*args, **kwargs) if answer is None else answer

    return guarded if is_async else guarded_sync


def guards_for(
    endpoint: Callable[..., Any], given: Sequence[Throttle[Any] | Rate | str], options: Mapping[str, Any]
) -> list[Throttle[Any]]:
    """The throttles among the arguments of a decorator, and a new one for the rates, named after the endpoint.

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
    """Check the cost and the context that a decorator was given for its hits.

    Raises:
        TypeError, ValueError: hits cannot have them.
    """
    if callable(cost):
        raise TypeError(
            f"the cost of a decorator is an integer, not {describe(cost)}: give a function to the throttle, as in "
            f"throttled(HTTPThrottle(uid, rate, cost={getattr(cost, '__name__', 'function')}))"
        )
    if cost is not None:
        check_cost(cost)
    check_context(context)


def check_order(endpoint: object) -> None:
    """Check that a decorator is not above ``@classmethod``, whose result cannot be called before it is in a class.

    Raises:
        TypeError: it is.
    """
    if isinstance(endpoint, classmethod):
        raise TypeError(f"throttled cannot be above @classmethod: put it below, on {endpoint.__func__.__qualname__}")


def is_async_callable(endpoint: Callable[..., Any]) -> bool:
    """Whether a call of the endpoint, a function or an object, has to be awaited."""
    return any(map(inspect.iscoroutinefunction, _functions(endpoint)))


def is_generator_callable(endpoint: Callable[..., Any]) -> bool:
    """Whether a call of the endpoint, a function or an object, returns a generator, sync or async."""
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in _functions(endpoint))


def _functions(endpoint: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """The endpoint, and its `__call__` in case it is an object."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    return endpoint, type(endpoint).__call__
