"""`@throttled`: a throttle in front of one handler, one method of a class-based view, or a whole view."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, TypeVar, cast

from aiohttp import web
from aiohttp.abc import AbstractView

from traffik.model.rates import Rate
from traffik.throttles import Throttle
from traffik.throttles.guards import check_call, guards_for, hit_each, is_async_callable, rates_among
from traffik.throttles.placement import note_decorated

__all__ = ["throttled"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def throttled(
    *throttles: Throttle[Any] | Rate | str,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[_Handler], _Handler]:
    """Hit `throttles`, in this order, before the handler runs; one that a middleware has hit is not hit again.

        @throttled("10/s; 1000/hour")
        async def search(request): ...

    Args:
        throttles: throttles, or rates for new ones whose uid is the handler's dotted name. A second handler of that
            name has ``#2`` at the end of its uid.
        cost: units of quota, as in `Throttle.hit`.
        context: as in `Throttle.hit`.
        options: of the new throttles, as `HTTPThrottle` takes them.

    Raises:
        TypeError: no throttle is given, options are given but no rate, something that is neither, or what is decorated
            is neither an async function nor a view.
    """
    rates_among(throttles, options)  # what is wrong is said before the handler is known
    check_call(cost, context)

    def decorate(handler: _Handler) -> _Handler:
        if not (_is_view(handler) or is_async_callable(handler)):
            raise TypeError(f"throttled is for async handlers and for views, not for {handler!r}")
        guards = guards_for(handler, throttles, options)

        def hit(request: web.BaseRequest) -> Coroutine[Any, Any, object]:
            return hit_each(guards, request, cost, context)

        return cast("_Handler", _guarded_view(handler, hit) if _is_view(handler) else _guarded(handler, hit))

    return decorate


def _guarded(handler: Callable[..., Any], hit: Callable[[web.BaseRequest], Any]) -> Callable[..., Any]:
    """The handler, or method of a view, behind `hit`."""

    @functools.wraps(handler)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        await hit(_request_of([*args, *kwargs.values()]))
        return await handler(*args, **kwargs)

    note_decorated(guarded)
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
