"""`setup`: a store for an application, throttles in front of it, and headers on its responses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from aiohttp import web

from traffik.adapters import check_app
from traffik.backends.base import Backend
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError
from traffik.throttles import Throttle
from traffik.throttles.guards import Throttles, each_of
from traffik_aiohttp.middleware import add_headers, names_of, throttling

__all__ = ["BACKEND", "THROTTLES", "setup"]

BACKEND: Final = web.AppKey("traffik.backend", Backend)
"""``app[BACKEND]`` is the store that `setup` was given. It is not set in mounted applications."""

THROTTLES: Final = web.AppKey("traffik.throttles", tuple[Throttle[Any], ...])
"""``app[THROTTLES]`` are the throttles that `setup` was given for every route."""


def setup(
    app: web.Application,
    throttles: Throttles = (),
    *,
    backend: Backend | None = None,
    routes: Mapping[str, Throttles] | None = None,
    headers: bool = True,
    count_preflights: bool = False,
) -> None:
    """Give `app` its throttles and its store. Call it before `app` is mounted in another.

    Args:
        app: the application, with or without applications mounted in it.
        throttles: throttles for every request, as in `throttling`.
        backend: the store of all throttles that are hit in `app` or in an application mounted in it, unless a throttle
            has its own. It is open while `app` runs. If None, the store of the application in which `app` is mounted.
        routes: throttles by route, as in `throttling`. A name that no route has is an error at the start.
        headers: whether responses that are not refusals get ``RateLimit`` and ``RateLimit-Policy``.
        count_preflights: whether CORS preflights are counted, as in `throttling`.

    Raises:
        ConfigurationError: it has been called for `app` before, or `app` is mounted or running already.
        TypeError: a throttle is something else.
    """
    if THROTTLES in app:
        raise ConfigurationError(f"{describe(app)} has been set up before; give all throttles in one call of setup")
    if app.pre_frozen:
        raise ConfigurationError(
            f"{describe(app)} is mounted or running already: call setup(app) before add_subapp and run_app"
        )
    app[THROTTLES] = each_of(throttles)
    if app[THROTTLES] or routes:
        app.middlewares.append(throttling(app[THROTTLES], routes, count_preflights=count_preflights))
    if backend is not None:
        app[BACKEND] = backend
        app.cleanup_ctx.append(_store)
    if headers:
        app.on_response_prepare.append(add_headers)
    wanted = set(routes or ())

    async def check(app: web.Application) -> None:
        check_app(app)
        known = {name for route in app.router.routes() for name in names_of(route)}
        if unknown := wanted - known:
            raise ConfigurationError(
                f"no route is called {', '.join(map(repr, sorted(unknown)))}, so nothing would be throttled there; "
                f"there are {', '.join(map(repr, sorted(known)))}"
            )

    app.on_startup.append(check)


async def _store(app: web.Application) -> AsyncGenerator[None, None]:
    """The store's lifespan as a cleanup context. That of an outer application begins first and ends last."""
    async with app[BACKEND].lifespan(app):
        yield
