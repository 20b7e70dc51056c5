"""Finds decorators above a route. They limit nothing, since the framework calls the function that it registered.

    @throttled("10/s")      # wraps what app.get returns
    @app.get("/search")     # has registered the undecorated function by then
    async def search(): ...

Each decorated function is remembered here with the functions that wrap it, as long as it exists. Adapters compare them
with the functions that an application has registered.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, ref

from traffik.model.errors import ConfigurationError
from traffik.model.places import place_of_caller
from traffik.notices import misconfiguration
from traffik.throttles import Throttle

__all__ = ["misplaced", "note_decorated", "report_misplaced"]


class _Decorated(NamedTuple):
    """A function as `@throttled` has returned it.

    Attributes:
        guard: a reference to it, which ends when the program drops it.
        place: the file and line of the decorator.
    """

    guard: ref[Any]
    place: str


_KEPT: Final = 16
"""The most decorators remembered for one function, since a program may decorate it again for each request."""

_decorated: WeakKeyDictionary[Any, list[_Decorated]] = WeakKeyDictionary()


def note_decorated(guard: Callable[..., Any]) -> None:
    """Remember that `guard` wraps its inner functions."""
    noted = _Decorated(ref(guard), place_of_caller())
    for inner in _layers(guard):
        if inner is not guard:
            with suppress(TypeError):  # not every callable can be referred to weakly
                known = _decorated.setdefault(inner, [])
                known[:] = [*known[1 - _KEPT :], noted]


def report_misplaced(registered: Iterable[Callable[..., Any]]) -> None:
    """Give a notice for each decorator that limits nothing. The argument is that of `misplaced`.

    Raises:
        ConfigurationError: a throttle itself decorates one of the functions, and limits nothing either.
    """
    endpoints = list(registered)
    for endpoint in endpoints:
        name = getattr(endpoint, "__name__", "")
        module = sys.modules.get(getattr(endpoint, "__module__", ""))
        if _is_call_of_a_throttle(endpoint) or _is_call_of_a_throttle(getattr(module, name, None)):
            raise ConfigurationError(
                f"a throttle decorates {_called(endpoint)}, and replaces it: write @throttled(throttle)"
            )
    for name, place in misplaced(endpoints):
        misconfiguration.misplaced_decorator(name, place)


def _is_call_of_a_throttle(found: object) -> bool:
    """Whether it is the result of `@throttle` on a function: a hit that is never awaited."""
    return inspect.iscoroutine(found) and found.cr_code is Throttle.__call__.__code__


def _called(endpoint: Any) -> str:
    """The name of a function, also if `@throttle` has replaced it."""
    if inspect.iscoroutine(endpoint):
        endpoint = (inspect.getcoroutinelocals(endpoint) or {}).get("connection")
    return getattr(endpoint, "__qualname__", None) or repr(endpoint)


def misplaced(registered: Iterable[Callable[..., Any]]) -> list[tuple[str, str]]:
    """The name of each function in `registered` whose decorator limits nothing, and the place of the decorator.

    Args:
        registered: all functions that the framework calls.
    """
    endpoints = list(registered)
    called = {id(layer) for endpoint in endpoints for layer in _layers(endpoint)}
    return [
        (_called(endpoint), place)
        for endpoint in endpoints
        for guard, place in _noted(endpoint)
        if id(guard()) not in called
    ]


def _noted(endpoint: Any) -> list[_Decorated]:
    try:
        return _decorated.get(endpoint, [])
    except TypeError:
        return []


def _layers(function: Any) -> Iterator[Any]:
    """A function and what it wraps, from the outside in."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        function = getattr(function, "__wrapped__", None)
