"""`@throttled`: a throttle in front of one view, sync or async, function or method. It answers refusals itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from traffik.model.descriptions import describe
from traffik.model.rates import Rate, parse_rates
from traffik.throttles import Throttle
from traffik.throttles.decorators import check_arguments, check_order, guard_function, is_generator_callable
from traffik.throttles.naming import defining_code, dotted_name, numbered, uid_of
from traffik.throttles.placement import note_decorated
from traffik_django import conf
from traffik_django.guards import is_async, refusal, refusal_sync
from traffik_django.limits import HTTPThrottle
from traffik_django.reading import is_name

__all__ = ["throttled"]

_Guard: TypeAlias = Throttle[Any] | str
"""A throttle, or the name of one in the settings."""

_View = TypeVar("_View", bound=Callable[..., Any])

# `method_decorator` calls every decorator with a dummy function, to see which attributes it sets.
_TRIED_ON: Final = "_update_method_wrapper.<locals>.dummy"


def throttled(
    *throttles: Throttle[Any] | Rate | str,
    cost: int | None = None,
    context: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[_View], _View]:
    """Hit `throttles`, as one, before the view runs. A refusal is answered, without an exception.

    A throttle that the middleware has hit is not hit again.

        @throttled("10/s; 1000/hour")
        def search(request): ...

    Args:
        throttles: throttles, names of throttles in the settings, or rates for a new one whose uid is the view's
            dotted name. A second view of that name has ``#2`` at the end of its uid.
        cost: units of quota, as in `Throttle.hit`.
        context: as in `Throttle.hit`.
        options: options of the new throttle, as in `HTTPThrottle`.

    Raises:
        RateError: a text is neither a rate nor a name.
        TypeError: no throttle is given, there are options and no rate, or an argument is none of these.
        ValueError: the cost is not from 0 to 2**31 - 1.
    """
    rates = check_arguments(throttles, options, cost, context, is_name)
    guards: list[_Guard] = [each for each in throttles if isinstance(each, Throttle | str) and each not in rates]
    for each in guards:
        if isinstance(each, str):
            conf.throttles.expect(each)
    if rates:
        parse_rates(rates)  # fails here, not when the decorator is applied
        options = {**options, "rate": rates}
    made: dict[str, HTTPThrottle] = {}
    origin = defining_code()

    def throttle_of(view: Any) -> HTTPThrottle:
        settings: dict[str, Any] = {**options}
        owner, uid = _owner(view), settings.pop("uid", None)
        if owner is None and not uid:
            return HTTPThrottle(_uid_of(view), **settings)
        key = uid or _name_of_method(type(owner), view)
        if key not in made:  # Django decorates a method again at each call
            made[key] = HTTPThrottle(uid or numbered(key, type(owner).__module__, origin), **settings)
        return made[key]

    def decorate(view: _View) -> _View:
        if isinstance(view, type):
            raise TypeError(
                f"throttled decorates functions and methods: use method_decorator(throttled(…), name='dispatch') on "
                f"{view.__qualname__}, or give it the ThrottledMixin"
            )
        check_order(view)
        if getattr(view, "__qualname__", None) == _TRIED_ON:
            return view
        if is_generator_callable(view):
            raise TypeError(
                f"a view returns its response: return a StreamingHttpResponse instead of yielding in {describe(view)}"
            )
        each = [*guards, throttle_of(view)] if rates else guards
        is_async = _is_async(view)

        def hit(request: Any) -> Any:
            return (refusal if is_async else refusal_sync)(each, request, cost, context)

        guarded: _View = guard_function(view, _request, hit, is_async=is_async)
        if _owner(view) is None:
            note_decorated(guarded)
        return guarded

    return decorate


def _uid_of(view: Any) -> str:
    """The dotted name of a view as a uid. All results of `as_view` have one name, so theirs is that of their class."""
    cls = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if cls is None:
        return uid_of(view)
    outer, dot, last = cls.__qualname__.rpartition(".")  # `api_view` names the class after its function
    name = f"{outer}{dot}{last}" if last == cls.__name__ else cls.__name__
    return numbered(f"{cls.__module__}.{name}", cls.__module__, defining_code())


def _request(args: tuple[Any, ...], _: dict[str, Any]) -> Any:
    """The request in a call of a view: the first argument, or the second one of a method."""
    for each in args[:2]:
        if hasattr(each, "META"):
            return each
    raise TypeError(
        f"throttled decorates views, whose first argument is the request, not one called with {describe(args)}"
    )


def _owner(view: Any) -> Any:
    """The class-based view if it is a bound method of one, else None."""
    while isinstance(view, functools.partial):
        view = view.func
    return getattr(view, "__self__", None)


def _is_async(view: Any) -> bool:
    """Whether the caller of the view awaits it. `dispatch` is a plain function, also of async views."""
    return is_async(view) or getattr(_owner(view), "view_is_async", False)


def _name_of_method(owner: type, view: Any) -> str:
    """The dotted name of a method that is decorated outside of its class, with the class it is called on."""
    method = dotted_name(view).rpartition(".")[2]
    return f"{owner.__module__}.{owner.__qualname__}.{method}"
