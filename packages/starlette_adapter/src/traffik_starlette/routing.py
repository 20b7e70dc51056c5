"""The path and the route of a connection, as Starlette's router sees them, before and after it has run.

A middleware runs before the router. So `route_of` asks the routes themselves which of them matches, in the order in
which the router asks them, and descends into what is mounted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from starlette._utils import get_route_path
from starlette.routing import Match
from starlette.types import Scope

from traffik.errors import ConfigurationError

__all__ = ["APP", "path_of", "route_of"]

APP: Final = "traffik.app"
"""The key of the scope under which a middleware that no application has run yet leaves the one that it wraps."""


def path_of(scope: Scope) -> str:
    """The path that the outermost router matches: without the prefix that a proxy or the server adds."""
    # A mount adds to `root_path` and keeps the first one.
    prefix: str = scope.get("app_root_path", scope.get("root_path", ""))
    if not prefix:
        path: str = scope["path"]
        return path
    return get_route_path({"path": scope["path"], "root_path": prefix}) or "/"


def route_of(scope: Scope) -> str | None:
    """The template of the route that matches, with the templates of the mounts around it; None if no route does.

    A mounted application without routes, such as static files, has the mount's path for its template.

    Raises:
        ConfigurationError: there is no router to ask.
    """
    outermost = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    outermost.pop("fastapi", None)  # what FastAPI's routes note in the scope while they match
    return _match(_routes_around(scope), outermost)


def _routes_around(scope: Scope) -> Iterable[Any]:
    """The routes of the outermost router."""
    app = scope.get("router") or scope.get("app") or scope.get(APP)
    while app is not None:
        routes: Iterable[Any] | None = getattr(app, "routes", None)
        if routes is not None:
            return routes
        app = getattr(app, "app", None)
    raise ConfigurationError(
        "a rule names a route, but no Starlette or FastAPI application is known here whose routes could match: "
        "add the middleware with app.add_middleware, or give the rule a path"
    )


def _match(routes: Iterable[Any], scope: Scope) -> str | None:
    """The template of the first route that matches in full, or else of the first that matches but for the method."""
    partial: tuple[Any, Scope] | None = None
    for route in _flat(routes):
        match, child = route.matches(scope)
        if match is Match.FULL:
            return _template(route, {**scope, **child})
        if match is Match.PARTIAL and partial is None:
            partial = route, {**scope, **child}
    return None if partial is None else _template(*partial)


def _template(route: Any, scope: Scope) -> str | None:
    """The template of a route that matches, followed by that of the route inside it."""
    path: str = getattr(route, "path", None) or ""
    inside = getattr(route, "routes", None)
    if not inside:
        return path
    inner = _match(inside, scope)
    return None if inner is None else path + inner


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes, with those that FastAPI keeps in included routers in their place."""
    flatten: Any = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", iter)
    yield from flatten(routes)
