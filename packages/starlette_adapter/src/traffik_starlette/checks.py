"""Checks of an application at its start: for throttles that limit nothing or cannot work."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from traffik.limits.limiter import Limiter, SyncLimiter
from traffik.limits.slots import Slots, SyncSlots
from traffik.model.errors import ConfigurationError
from traffik.notices import misconfiguration
from traffik.throttles import SyncThrottle, Throttle
from traffik.throttles.all_of import AllOf, SyncAllOf
from traffik.throttles.placement import report_misplaced
from traffik_starlette.routing import routes_of, templates_of

__all__ = ["check_middleware", "check_routes"]

_METHODS: Final = frozenset(
    method
    for cls in (Throttle, SyncThrottle, AllOf, SyncAllOf, Limiter, SyncLimiter, Slots, SyncSlots)
    for method in vars(cls).values()
    if inspect.isfunction(method)
)
"""Methods whose parameters FastAPI would look for in the query."""


def check_routes(app: Any) -> None:
    """Check the routes of `app`, if it has any.

    Raises:
        ConfigurationError: a throttle is used as a decorator, or as a dependency that cannot work.
    """
    routes = list(routes_of(app))
    for route in routes:
        _check_dependencies(route)
    report_misplaced(endpoint for route in routes if (endpoint := getattr(route, "endpoint", None)) is not None)


def check_middleware(app: Any) -> None:
    """Warn about middlewares of `app` that do not do what was meant, before Starlette builds them."""
    added: list[Any] = list(getattr(app, "user_middleware", ()))
    for place, each in enumerate(added):
        check = getattr(each.cls, "check_order", None)
        if check is not None:
            check(each.args, each.kwargs, [other.cls for other in added[place + 1 :]])
            for given in (*each.args, each.kwargs.get("throttles", ())):
                _check_rules([given] if isinstance(given, Throttle) else given, app)


def _check_rules(throttles: object, app: Any) -> None:
    """Warn about rules for routes that `app` does not have. An iterator is left out, since it can be read only once."""
    each = throttles.values() if isinstance(throttles, Mapping) else throttles
    if not isinstance(each, Collection):
        return
    for throttle in each:
        rules = throttle.rules if isinstance(throttle, Throttle) else None
        if rules is not None and rules.by_route:
            known = set(templates_of(app))
            for route in {rule.route for rule in rules.rules if rule.route is not None} - known:
                misconfiguration.unknown_route(throttle.uid, route, get_close_matches(route, known))


def _check_dependencies(route: Any) -> None:
    waiting = list(getattr(getattr(route, "dependant", None), "dependencies", ()))
    for dependant in waiting:
        waiting += dependant.dependencies
        call = dependant.call
        if getattr(call, "__func__", None) in _METHODS:
            raise ConfigurationError(
                f"{_path(route)!r} depends on the method {call.__name__!r} of {call.__self__!r}, so clients could "
                f"choose its arguments in the query: write Depends(throttle)"
            )
        if isinstance(call, type) and issubclass(call, Throttle):
            raise ConfigurationError(
                f"{_path(route)!r} depends on the class {call.__name__}, which limits nothing: write "
                f"Depends({call.__name__}(…)), or Depends(throttle) with one that you have made"
            )
        throttles = call.throttles if isinstance(call, AllOf) else (call,) if isinstance(call, Throttle) else ()
        if any(throttle.websocket for throttle in throttles) and getattr(route, "methods", None):
            raise ConfigurationError(
                f"{_path(route)!r} is a route for HTTP, and depends on {call!r}: use an HTTPThrottle there"
            )


def _path(route: Any) -> str:
    path: str = getattr(route, "path", "")
    return path
