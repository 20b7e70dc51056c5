"""`@throttled` for generators: endpoints that stream, and dependencies that clean up.

A generator starts when its first value is read, and the response may have begun by then. So the throttles are hit in a
FastAPI dependency, which runs before: awaited on the event loop, for sync generators too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Final, cast

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from traffik.model.descriptions import describe
from traffik_starlette.signatures import ask_for, signature_of

__all__ = ["guard_generator"]

_ADDED: Final = "traffik_hit"
_OF_THE_BODY: Final = {"content-length", "content-type"}


def guard_generator(
    endpoint: Callable[..., Any], hit: Callable[[HTTPConnection], Awaitable[object]]
) -> Callable[..., Any]:
    """A generator function that FastAPI calls only after `hit` has let the request pass.

    Raises:
        TypeError: FastAPI is not installed. Starlette cannot call generators.
    """
    try:
        from fastapi import Depends
    except ImportError:
        raise TypeError(
            f"{describe(endpoint)} is a generator, which only FastAPI can call: return a StreamingResponse"
        ) from None

    async def hit_before(connection: HTTPConnection) -> None:
        answer = await hit(connection)
        if isinstance(answer, Response):
            raise _error_of(answer)

    made = endpoint.func if isinstance(endpoint, functools.partial) else endpoint
    is_async = inspect.isasyncgenfunction(made) or inspect.isasyncgenfunction(type(made).__call__)
    guard: Any = _guarded_async(endpoint) if is_async else _guarded(endpoint)
    guard.__signature__ = ask_for(signature_of(endpoint), _ADDED, default=Depends(hit_before))
    return cast("Callable[..., Any]", guard)


def _guarded(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(endpoint)
    def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _call(endpoint, args, kwargs))

    return guarded


def _guarded_async(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(endpoint)
    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        source = _call(endpoint, args, kwargs)
        step = source.__anext__()
        while True:
            try:
                value = await step
            except StopAsyncIteration:
                return
            try:
                sent = yield value
            except GeneratorExit:
                await source.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - raised in the endpoint, at its yield
                step = source.athrow(error)
            else:
                step = source.asend(sent)

    return guarded


def _call(endpoint: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The endpoint's generator, from a call by FastAPI."""
    if _ADDED not in kwargs:
        raise TypeError(
            f"{describe(endpoint)} is a throttled generator, so FastAPI has to call it and hit the throttles before"
        )
    del kwargs[_ADDED]
    return endpoint(*args, **kwargs)


def _error_of(answer: Response) -> HTTPException:
    """An error to which FastAPI responds with the status, the text and the header fields of a response."""
    fields = {name: value for name, value in answer.headers.items() if name not in _OF_THE_BODY}
    return HTTPException(answer.status_code, bytes(getattr(answer, "body", b"")).decode(), fields)
