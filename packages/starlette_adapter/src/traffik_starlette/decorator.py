"""`@throttled`: a throttle in front of one endpoint, sync or async, of Starlette or FastAPI."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast

from starlette.requests import HTTPConnection, Request

from traffik.keys import MAX_LENGTH
from traffik.rates import Rate
from traffik.throttles import HTTPThrottle, Throttle

__all__ = ["throttled"]

_Find: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Any]
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

_NAMES: Final = ("request", "websocket", "connection")
_ADDED: Final = "traffik_request"


def throttled(
    *throttles: Throttle[Any] | Rate | str,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[_Endpoint], _Endpoint]:
    """Hit `throttles`, in this order, before the endpoint runs.

        @app.get("/search")
        @throttled("10/s; 1000/hour")
        async def search(q: str): ...

    Args:
        throttles: throttles, or rates for new ones whose uid is the endpoint's dotted name.
        cost: units of quota, as in `Throttle.hit`.
        context: as in `Throttle.hit`.
        options: of the new throttles, as `HTTPThrottle` takes them.

    Raises:
        TypeError: no throttle is given, options are given but no rate, or something that is neither.
    """
    rates = [each for each in throttles if isinstance(each, Rate | str)]
    if not throttles or len(rates) + sum(isinstance(each, Throttle) for each in throttles) < len(throttles):
        raise TypeError(f"throttled takes throttles or rates, at least one: {throttles!r}")
    if options and not rates:
        raise TypeError(f"{', '.join(options)}: options are for rates; a throttle has its own")

    def decorate(endpoint: _Endpoint) -> _Endpoint:
        guards = [each for each in throttles if isinstance(each, Throttle)]
        if rates:
            settings: dict[str, Any] = {"rate": rates, **options}
            if "uid" not in settings:
                settings["uid"] = _name(endpoint)
            guards.append(HTTPThrottle(**settings))
        return _guarded(endpoint, guards, cost, context)

    return decorate


def _guarded(
    endpoint: _Endpoint, throttles: Sequence[Throttle[Any]], cost: int | None, context: Mapping[str, Any] | None
) -> _Endpoint:
    """`endpoint` behind `throttles`."""
    signature, find = _connection_of(endpoint)

    @functools.wraps(endpoint)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        connection = find(args, kwargs)
        for throttle in throttles:
            await throttle.hit(connection, cost, context)
        return await endpoint(*args, **kwargs)

    @functools.wraps(endpoint)
    def guarded_sync(*args: Any, **kwargs: Any) -> Any:
        connection = find(args, kwargs)
        for throttle in throttles:
            throttle.sync.hit(connection, cost, context)
        return endpoint(*args, **kwargs)

    guard: Any = guarded if _is_async(endpoint) else guarded_sync
    guard.__signature__ = signature
    guard.throttles = tuple(throttles)  # for `document_throttles`
    return cast("_Endpoint", guard)


def _name(endpoint: Callable[..., Any]) -> str:
    """The endpoint's dotted name, as a uid."""
    name = getattr(endpoint, "__qualname__", None)
    if name is None:
        raise TypeError(f"{endpoint!r} has no name to make a uid of: throttled(…, uid=…)")
    return f"{endpoint.__module__}.{name}"[-MAX_LENGTH:]


def _is_async(endpoint: Callable[..., Any]) -> bool:
    """Whether calling the endpoint, a function or an object, gives something to await."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    return inspect.iscoroutinefunction(endpoint) or inspect.iscoroutinefunction(type(endpoint).__call__)


def _connection_of(endpoint: Callable[..., Any]) -> tuple[inspect.Signature, _Find]:
    """The endpoint's signature, made to ask for the request if it does not, and how to find the connection in a call.

    The connection is the parameter that is annotated so or, failing that, named so.
    """
    try:
        signature = inspect.signature(endpoint, eval_str=True)
    except NameError:  # an annotation that is only there for type checkers
        signature = inspect.signature(endpoint)
    parameters = list(signature.parameters.values())
    kinds = [parameter for parameter in parameters if _is_connection(parameter.annotation)]
    named = [parameter for parameter in parameters if parameter.name in _NAMES]
    for parameter in kinds or named:
        return signature, functools.partial(_given, parameter.name, parameters.index(parameter))
    asked = inspect.Parameter(_ADDED, inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    rest = [each for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD]
    signature = signature.replace(parameters=[*(each for each in parameters if each not in rest), asked, *rest])
    return signature, lambda _, kwargs: kwargs.pop(_ADDED)


def _given(name: str, place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs[name] if name in kwargs else args[place]


def _is_connection(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, HTTPConnection)
