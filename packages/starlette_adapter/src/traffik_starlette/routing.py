"""The path and the route of a connection, as Starlette's router sees them, before and after it has run.

A middleware runs before the router. So `route_of` asks each route whether it matches, in the router's order, and goes
into mounted applications.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from starlette import routing
from starlette._utils import get_route_path
from starlette.types import Scope

from traffik.model.errors import ConfigurationError

__all__ = ["APP", "path_of", "route_of", "routes_of", "templates_of"]

APP: Final = "traffik.app"
"""The key of the scope under which a middleware outside of the application puts the application."""


class _Found(NamedTuple):
    """The router's view of a connection.

    Attributes:
        route: the template of the route that matches; None if no route does.
        path: the parts that the mounts have matched, and then the path that the innermost router sees.
    """

    route: str | None
    path: str


def routes_of(app: Any) -> Iterator[Any]:
    """The routes of an application or router, without those of mounted applications; none if it has no routes."""
    return _flat(getattr(app, "routes", None) or ())


def templates_of(app: Any, before: str = "") -> Iterator[str]:
    """The templates of an application's routes, and of the mounts around them."""
    for route in routes_of(app):
        template = before + (getattr(route, "path", None) or "")
        yield template
        yield from templates_of(route, template)


def path_of(scope: Scope) -> str:
    """The path that the outermost router matches: without the prefix that a proxy or the server adds.

    Routes also match without that prefix. But then a mount passes its own path on to the mounted application, so that
    ``/in/x`` reaches the route ``/in/x`` inside the mount ``/in``. For such a path the result is the routers' reading.
    """
    # A mount adds to `root_path` and keeps the first one.
    prefix: str = scope.get("app_root_path", scope.get("root_path", ""))
    path: str = scope["path"]
    if not prefix:
        return path
    inside = get_route_path({"path": path, "root_path": prefix})
    if inside != path or _routes_around(scope) is None:
        return inside or "/"
    return _match_of(scope).path


def route_of(scope: Scope) -> str | None:
    """The template of the route that matches, with the templates of the mounts around it; None if no route does.

    A mounted application without routes, such as static files, has the mount's path for its template.

    Raises:
        ConfigurationError: there is no router to ask.
    """
    if _routes_around(scope) is None:
        raise ConfigurationError(
            "a rule names a route, but the routes of the application are not known here: "
            "add the middleware with app.add_middleware, or give the rule a path"
        )
    return _match_of(scope).route


def _match_of(scope: Scope) -> _Found:
    outermost = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    outermost.pop("fastapi", None)  # in which FastAPI's routes keep their matches
    return _match(_routes_around(scope) or (), outermost)


def _routes_around(scope: Scope) -> Iterable[Any] | None:
    """The routes of the outermost router; None if it is not known."""
    app = scope.get("router") or scope.get("app") or scope.get(APP)
    while app is not None:
        routes: Iterable[Any] | None = getattr(app, "routes", None)
        if routes is not None:
            return routes
        app = getattr(app, "app", None)
    return None


def _match(routes: Iterable[Any], scope: Scope) -> _Found:
    """The first route that matches fully, or else the first that matches except for the method."""
    partial: tuple[Any, Scope] | None = None
    for route in _flat(routes):
        match, child = route.matches(scope)
        if match is routing.Match.FULL:
            return _inside(route, scope, child)
        if match is routing.Match.PARTIAL and partial is None:
            partial = route, child
    return _Found(None, get_route_path(scope)) if partial is None else _inside(partial[0], scope, partial[1])


def _inside(route: Any, scope: Scope, child: Scope) -> _Found:
    """A route that matches, followed by the one inside it."""
    inner = {**scope, **child}
    routes = getattr(route, "routes", None)
    found = _match(routes, inner) if routes else _Found("", get_route_path(inner))
    template = None if found.route is None else (getattr(route, "path", None) or "") + found.route
    return _Found(template, inner["root_path"][len(scope["root_path"]) :] + found.path)


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes, including those that FastAPI keeps in included routers."""
    flatten: Any = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", iter)
    yield from flatten(routes)
