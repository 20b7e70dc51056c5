"""Finds decorators above a route: the framework calls the function that it registered, so those limit nothing.

    @throttled("10/s")      # wraps what app.get returns
    @app.get("/search")     # has registered the undecorated function by then
    async def search(): ...

Each decorated function is remembered here, as long as it lives, with what stands around it. Adapters compare that with
the functions that an application has registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, ref

from traffik.limits.uids import place_of_caller
from traffik.notices import misconfiguration

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
"""Decorators remembered of one function, which a program may decorate anew for each request."""

_decorated: WeakKeyDictionary[Any, list[_Decorated]] = WeakKeyDictionary()


def note_decorated(guard: Callable[..., Any]) -> None:
    """Remember that `guard` stands around the functions that it wraps."""
    noted = _Decorated(ref(guard), place_of_caller())
    for inner in _layers(guard):
        if inner is not guard:
            with suppress(TypeError):  # not every callable can be referred to weakly
                known = _decorated.setdefault(inner, [])
                known[:] = [*known[1 - _KEPT :], noted]


def report_misplaced(registered: Iterable[Callable[..., Any]]) -> None:
    """Give a notice for each decorator that limits nothing; arguments as of `misplaced`."""
    for name, place in misplaced(registered):
        misconfiguration.misplaced_decorator(name, place)


def misplaced(registered: Iterable[Callable[..., Any]]) -> list[tuple[str, str]]:
    """The name of each function in `registered` that has been decorated in vain, and the place of the decorator.

    Args:
        registered: all functions that the framework calls.
    """
    endpoints = list(registered)
    called = {id(layer) for endpoint in endpoints for layer in _layers(endpoint)}
    return [
        (getattr(endpoint, "__qualname__", None) or repr(endpoint), place)
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
