"""`@throttled`: a throttle in front of one handler, one method of a class-based view, or a whole view."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any, TypeVar, cast

from aiohttp import web
from aiohttp.abc import AbstractView

from traffik.model.descriptions import describe
from traffik.model.rates import Rate
from traffik.throttles import Throttle
from traffik.throttles.decorators import check_arguments, guard_function, guards_for, is_async_callable
from traffik.throttles.guards import hit_each
from traffik.throttles.placement import note_decorated

__all__ = ["throttled"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def throttled(
    *throttles: Throttle[Any] | Rate | str,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[_Handler], _Handler]:
    """Hit `throttles`, as one, before the handler runs. A throttle that a middleware has hit is not hit again.

        @throttled("10/s; 1000/hour")
        async def search(request): ...

    Args:
        throttles: throttles, or rates for new ones whose uid is the handler's dotted name. A second handler of that
            name has ``#2`` at the end of its uid.
        cost: units of quota, as in `Throttle.hit`.
        context: as in `Throttle.hit`.
        options: options of the new throttles, as in `HTTPThrottle`.

    Raises:
        TypeError: no throttle is given, there are options and no rate, an argument is neither, or the handler is
            neither an async function nor a view.
    """
    check_arguments(throttles, options, cost, context)

    def decorate(handler: _Handler) -> _Handler:
        if not (_is_view(handler) or is_async_callable(handler)):
            raise TypeError(f"throttled is for async handlers and for views, not for {describe(handler)}")
        guards = guards_for(handler, throttles, options)

        def hit(request: web.BaseRequest) -> Coroutine[Any, Any, object]:
            return hit_each(guards, request, cost, context)

        if _is_view(handler):
            return cast("_Handler", _guarded_view(handler, hit))
        guard = guard_function(handler, _request_of, hit, is_async=True)
        note_decorated(guard)
        return cast("_Handler", guard)

    return decorate


def _guarded_view(view: Any, hit: Callable[[web.BaseRequest], Any]) -> Any:
    """The view, with all its methods behind `hit`. aiohttp makes a view for each request, and awaits its response."""
    answer = view.__await__

    def guarded(self: AbstractView) -> Generator[Any, None, Any]:
        yield from hit(self.request).__await__()
        return (yield from answer(self))

    view.__await__ = guarded
    return view


def _request_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> web.BaseRequest:
    """The request among the arguments of a handler, or the request of the view among them."""
    arguments = [*args, *kwargs.values()]
    for argument in arguments:
        if isinstance(argument, web.BaseRequest):
            return argument
        if isinstance(argument, AbstractView):
            return argument.request
    raise TypeError(f"a throttled handler is called with a request, or is the method of a view: {arguments!r}")


def _is_view(handler: object) -> bool:
    return isinstance(handler, type) and issubclass(handler, AbstractView)
