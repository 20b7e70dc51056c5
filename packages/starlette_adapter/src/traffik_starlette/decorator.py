"""`@throttled`: a throttle in front of one endpoint, sync or async, of Starlette or FastAPI."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from traffik.limits.floods import VIOLATION
from traffik.model.coroutines import run_sync
from traffik.model.descriptions import describe
from traffik.model.rates import Rate
from traffik.throttles import Throttle
from traffik.throttles.decorators import (
    check_arguments,
    check_order,
    guard_function,
    guards_for,
    is_async_callable,
    is_generator_callable,
)
from traffik.throttles.guards import hit_each
from traffik.throttles.placement import note_decorated
from traffik_starlette.generators import guard_generator
from traffik_starlette.signatures import ask_for, signature_of

__all__ = ["Hit", "hits_of", "throttled"]

Hit: TypeAlias = Callable[[HTTPConnection], Coroutine[Any, Any, object]]

_Find: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Any]
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

_ADDED: Final = "traffik_request"


def throttled(
    *throttles: Throttle[Any] | Rate | str,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[_Endpoint], _Endpoint]:
    """Hit `throttles`, as one, before the endpoint runs.

    A throttle that a middleware has hit is not hit again. For an open WebSocket, every call of the endpoint hits, so a
    method that is called for every message hits for every message.

    An endpoint or dependency that yields is a generator, which only FastAPI can call. A refusal comes before the
    response starts.

        @app.get("/search")
        @throttled("10/s; 1000/hour")
        async def search(q: str): ...

    Args:
        throttles: throttles, or rates for new ones whose uid is the endpoint's dotted name. A second endpoint of that
            name has ``#2`` at the end of its uid.
        cost: units of quota, as in `Throttle.hit`.
        context: as in `Throttle.hit`.
        options: options of the new throttles, as in `HTTPThrottle`.

    Raises:
        TypeError: no throttle is given, there are options and no rate, an argument is neither, or the endpoint is a
            class.
        ValueError: the cost is out of its range.
    """
    check_arguments(throttles, options, cost, context)

    def decorate(endpoint: _Endpoint) -> _Endpoint:
        if isinstance(endpoint, type):
            raise TypeError(
                f"throttled is for functions and methods: decorate the methods of {describe(endpoint)} instead"
            )
        check_order(endpoint)
        return _guarded(endpoint, guards_for(endpoint, throttles, options), cost, context)

    return decorate


def _guarded(
    endpoint: _Endpoint, throttles: Sequence[Throttle[Any]], cost: int | None, context: Mapping[str, Any] | None
) -> _Endpoint:
    """`endpoint` behind `throttles`."""
    given: Any = {"cost": cost, "context": context}

    async def hit(connection: HTTPConnection) -> object:
        return await hit_each(throttles, connection, **given, response=Response)

    async def hit_or_deny(connection: HTTPConnection) -> object:
        if _is_open(connection):  # a response is no answer to a message
            return await hit_each(throttles, connection, **given, again=True)
        answer = await hit(connection)
        if isinstance(connection, WebSocket) and answer is not None:
            await _deny(connection, answer)
        return answer

    def hit_sync(connection: HTTPConnection) -> object:
        return run_sync(hit_each(throttles, connection, **given, response=Response, sync=True))

    if is_generator_callable(endpoint):
        guard: Any = guard_generator(endpoint, hit)
    else:
        is_async = is_async_callable(endpoint)
        signature, find = _connection_of(endpoint)
        guard = guard_function(endpoint, find, hit_or_deny if is_async else hit_sync, is_async=is_async)
        guard.__signature__ = signature
    guard.throttles = tuple(throttles)  # for `document_throttles`
    guard.traffik_hits = (hit, *hits_of(endpoint))
    note_decorated(guard)
    return cast("_Endpoint", guard)


def hits_of(endpoint: Callable[..., Any]) -> tuple[Hit, ...]:
    """The functions that hit the throttles of an endpoint's decorators, the outermost first.

    Each returns the response of a throttle's handler, or None if the endpoint may run. After them, a call of the
    endpoint does not hit the throttles again.
    """
    hits: tuple[Hit, ...] = getattr(endpoint, "traffik_hits", ())
    return hits


def _connection_of(endpoint: Callable[..., Any]) -> tuple[inspect.Signature, _Find]:
    """The endpoint's signature, with a parameter for the request, and a function that finds the connection in a call.

    FastAPI passes the parameters of the signature by name. Starlette passes the connection alone, by position.
    """
    signature = signature_of(endpoint)
    for place, parameter in enumerate(signature.parameters.values()):
        if _is_connection(parameter.annotation):
            return signature, functools.partial(_given, endpoint, parameter.name, place)
    return ask_for(signature, _ADDED, annotation=Request), functools.partial(_found, endpoint)


def _given(endpoint: Callable[..., Any], name: str, place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The connection in the parameter of that name or place, which may have a default."""
    connection = kwargs[name] if name in kwargs else next(iter(args[place : place + 1]), None)
    return _found(endpoint, args, kwargs) if connection is None else connection


def _found(endpoint: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The connection in the added parameter, or else the one among the arguments."""
    added = kwargs.pop(_ADDED, None)
    if added is not None:
        return added
    for each in (*args, *kwargs.values()):
        if isinstance(each, HTTPConnection):
            return each
    raise TypeError(
        f"{describe(endpoint)} was called without a connection: annotate a parameter as Request or WebSocket"
    )


async def _deny(connection: WebSocket, answer: Any) -> None:
    """Deny a WebSocket with the answer. On a server that cannot send one, close it."""
    if "websocket.http.response" in connection.scope.get("extensions", {}):
        await connection.send_denial_response(answer)
    else:
        await connection.close(VIOLATION)


def _is_open(connection: HTTPConnection) -> bool:
    """Whether it is a WebSocket that has been accepted."""
    return isinstance(connection, WebSocket) and connection.application_state is not WebSocketState.CONNECTING


def _is_connection(annotation: object) -> bool:
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        return any(_is_connection(each) for each in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, HTTPConnection)
