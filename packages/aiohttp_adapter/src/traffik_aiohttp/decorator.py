"""`@throttled`: a throttle in front of one handler, one method of a class-based view, or a whole view."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar, cast

from aiohttp import web
from aiohttp.abc import AbstractView

from traffik.keys import MAX_LENGTH
from traffik.rates import Rate
from traffik.throttles import HTTPThrottle, Throttle

__all__ = ["throttled"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def throttled(
    *throttles: Throttle[Any] | Rate | str,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[_Handler], _Handler]:
    """Hit `throttles`, in this order, before the handler runs.

        @throttled("10/s; 1000/hour")
        async def search(request): ...

    Args:
        throttles: throttles, or rates for new ones whose uid is the handler's dotted name.
        cost: units of quota, as in `Throttle.hit`.
        context: as in `Throttle.hit`.
        options: of the new throttles, as `HTTPThrottle` takes them.

    Raises:
        TypeError: no throttle is given, options are given but no rate, something that is neither, or what is decorated
            is neither an async function nor a view.
    """
    rates = [each for each in throttles if isinstance(each, Rate | str)]
    if not throttles or len(rates) + sum(isinstance(each, Throttle) for each in throttles) < len(throttles):
        raise TypeError(f"throttled takes throttles or rates, at least one: {throttles!r}")
    if options and not rates:
        raise TypeError(f"{', '.join(options)}: options are for rates; a throttle has its own")

    def decorate(handler: _Handler) -> _Handler:
        if not (_is_view(handler) or _is_async(handler)):
            raise TypeError(f"throttled is for async handlers and for views, not for {handler!r}")
        guards = [each for each in throttles if isinstance(each, Throttle)]
        if rates:
            settings: dict[str, Any] = {"rate": rates, **options}
            if "uid" not in settings:
                settings["uid"] = _name(handler)
            guards.append(HTTPThrottle(**settings))

        async def hit(request: web.BaseRequest) -> None:
            for throttle in guards:
                await throttle.hit(request, cost, context)

        return cast("_Handler", _guarded_view(handler, hit) if _is_view(handler) else _guarded(handler, hit))

    return decorate


def _guarded(handler: Callable[..., Any], hit: Callable[[web.BaseRequest], Any]) -> Callable[..., Any]:
    """The handler, or method of a view, behind `hit`."""

    @functools.wraps(handler)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        await hit(_request_of([*args, *kwargs.values()]))
        return await handler(*args, **kwargs)

    return guarded


def _guarded_view(view: Any, hit: Callable[[web.BaseRequest], Any]) -> Any:
    """The view itself, every method of it behind `hit`: a view is made for a request, and awaited for the answer."""
    answer = view.__await__

    def guarded(self: AbstractView) -> Generator[Any, None, Any]:
        yield from hit(self.request).__await__()
        return (yield from answer(self))

    view.__await__ = guarded
    return view


def _request_of(arguments: Sequence[Any]) -> web.BaseRequest:
    """The request among the arguments of a handler, or that of the view among them."""
    for argument in arguments:
        if isinstance(argument, web.BaseRequest):
            return argument
        if isinstance(argument, AbstractView):
            return argument.request
    raise TypeError(f"a throttled handler is called with a request, or is the method of a view: {arguments!r}")


def _is_view(handler: object) -> bool:
    return isinstance(handler, type) and issubclass(handler, AbstractView)


def _is_async(handler: Callable[..., Any]) -> bool:
    """Whether calling the handler, a function or an object, gives something to await."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _name(handler: Callable[..., Any]) -> str:
    """The handler's dotted name, as a uid."""
    name = getattr(handler, "__qualname__", None)
    if name is None:
        raise TypeError(f"{handler!r} has no name to make a uid of: throttled(…, uid=…)")
    return f"{handler.__module__}.{name}"[-MAX_LENGTH:]
