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
    """Hit `throttles`, in this order, before the endpoint runs; one that a middleware has hit is not hit again.

    (But for a WebSocket that is open: a method that is called for every message hits for every message.)
    An endpoint or dependency that yields is a generator. Only FastAPI can call those, and a refusal comes before the
    response starts.

        @app.get("/search")
        @throttled("10/s; 1000/hour")
        async def search(q: str): ...

    Args:
        throttles: throttles, or rates for new ones whose uid is the endpoint's dotted name. A second endpoint of that
            name has ``#2`` at the end of its uid.
        cost: units of quota, as in `Throttle.hit`.
        context: as in `Throttle.hit`.
        options: of the new throttles, as `HTTPThrottle` takes them.

    Raises:
        TypeError: no throttle is given, options are given but no rate, or something that is neither; or the endpoint is
            a class, whose methods are to be decorated.
        ValueError: the cost is out of its range.
    """
    check_arguments(throttles, options, cost, context)

    def decorate(endpoint: _Endpoint) -> _Endpoint:
        if isinstance(endpoint, type):
            raise TypeError(
                f"throttled is for functions and methods: decorate the methods of {describe(endpoint)} instead"
            )
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
    """What hits the throttles of an endpoint's decorators, from the outside in; a later call does not hit them again.

    Each returns the response of a throttle's handler, or None if the endpoint may run.
    """
    hits: tuple[Hit, ...] = getattr(endpoint, "traffik_hits", ())
    return hits


def _connection_of(endpoint: Callable[..., Any]) -> tuple[inspect.Signature, _Find]:
    """The endpoint's signature, made to ask for the request if it does not, and how to find the connection in a call.

    FastAPI hands over what the signature asks for, by name; Starlette hands over the connection alone, by place.
    """
    signature = signature_of(endpoint)
    for place, parameter in enumerate(signature.parameters.values()):
        if _is_connection(parameter.annotation):
            return signature, functools.partial(_given, parameter.name, place)
    return ask_for(signature, _ADDED, annotation=Request), functools.partial(_found, endpoint)


def _given(name: str, place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs[name] if name in kwargs else args[place]


def _found(endpoint: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The connection that was asked for or, whatever its parameter is called, the one among the arguments."""
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
    """Refuse to open a WebSocket: with the answer or, on a server that cannot, by closing it."""
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
