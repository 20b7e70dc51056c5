"""System checks: what would fail in production fails `manage.py check` first, with the line that mends it.

traffik.E001 the middleware is missing; E002 to E006 the settings, by their keys: TRAFFIK itself, STORE, IDENTIFIER,
THROTTLES, URLS; E007 a decorator names a throttle that is not there; E008 the middleware asks for a user or a session
before there is one; E009 the trusted proxies; E010 the key OUTGOING; W001, of a deployment, a store in memory.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.urls import get_resolver
from django.utils.module_loading import import_string

from traffik_django import conf, identities

__all__ = ["check_deployment", "check_middleware", "check_names", "check_order", "check_settings"]

_LINE: Final = "traffik_django.middleware.ThrottleMiddleware"
_MAKERS: Final[dict[object, str]] = {
    identities.session: "django.contrib.sessions.middleware.SessionMiddleware",
    identities.user: "django.contrib.auth.middleware.AuthenticationMiddleware",
}
"""What has to stand above the middleware, for an identity that is taken before the URL is resolved."""


def check_middleware(**_: Any) -> list[checks.CheckMessage]:
    """A hit that is refused in a view is an exception, which only the middleware answers."""
    if any(_is_a(path, _LINE) for path in settings.MIDDLEWARE):
        return []
    hint = f'Add the line "{_LINE}" to MIDDLEWARE.'
    message = "ThrottleMiddleware is not in MIDDLEWARE, so a hit that is refused in a view is answered with status 500."
    return [checks.Error(message, hint, id="traffik.E001")]


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """What ``settings.TRAFFIK`` says can be had."""
    return [
        checks.Error(problem.message, problem.hint, id=f"traffik.E{problem.number:03}")
        for problem in conf.start().problems
    ]


def check_names(**_: Any) -> list[checks.CheckMessage]:
    """Every throttle that a decorator names is there."""
    if getattr(settings, "ROOT_URLCONF", None):
        get_resolver().url_patterns  # noqa: B018 - brings in the views
    known = conf.start().throttles
    return [
        checks.Error(
            f"@throttled({name!r}) names no throttle.", f"Add {name!r} to TRAFFIK['THROTTLES'].", id="traffik.E007"
        )
        for name in sorted(conf.throttles.expected - set(known))
    ]


def check_order(**_: Any) -> list[checks.CheckMessage]:
    """A throttle of every request is hit where the middleware stands, and not where the view is."""
    config, middleware = conf.start(), list(settings.MIDDLEWARE)
    above = middleware[: next((place for place, path in enumerate(middleware) if _is_a(path, _LINE)), len(middleware))]
    found: list[checks.CheckMessage] = []
    for throttle in config.everywhere:
        needed = None if throttle.identifier is None else _MAKERS.get(throttle.identifier.function)
        if needed is not None and not any(_is_a(path, needed) for path in above):
            message = (
                f"The throttle {throttle.uid!r} of every request asks for what {needed} makes, and runs before it."
            )
            hint = f'Put the line "{_LINE}" below that, or give the throttle a narrower pattern than "*" in URLS.'
            found.append(checks.Error(message, hint, id="traffik.E008"))
    return found


def check_deployment(**_: Any) -> list[checks.CheckMessage]:
    """A deployment has more than one process, mostly."""
    store = conf.start().store
    if store is None or not store.in_process:
        return []
    message = f"{type(store).__name__} counts in each process by itself, so that n processes admit n times the limit."
    hint = (
        "Share the store: TRAFFIK = {'STORE': {'CACHE': 'default'}}, where the cache is a RedisCache; or, on one "
        "machine, {'STORE': {'BACKEND': 'traffik.backends.lmdb.LMDBBackend'}}."
    )
    return [checks.Warning(message, hint, id="traffik.W001")]


def _is_a(path: str, wanted: str) -> bool:
    """Whether the middleware at `path` is `wanted` or derived from it."""
    try:
        found = import_string(path)
    except ImportError:  # Django says so itself
        return False
    return any(f"{cls.__module__}.{cls.__qualname__}" == wanted for cls in getattr(found, "__mro__", ()))
