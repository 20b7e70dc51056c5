"""System checks: `manage.py check` finds mistakes before they fail in production, and says how to fix them.

traffik.E001 the middleware is missing; E002 to E006 the settings, by key: TRAFFIK itself, STORE, IDENTIFIER, THROTTLES,
URLS; E007 a decorator names a throttle that does not exist; E008 the middleware needs a user or a session before there
is one; E009 the trusted proxies; E010 the key RESPONSES; E011 a pattern of URLS matches no view; E012 two throttles
have the same uid and different definitions; E013 the keys UPLOADS and UPLOAD_STEP; E014 the middleware for uploads is
missing; W001, for a deployment, a store in memory; W002 a URL leads to the undecorated view; W003 the middleware is
above the one for CORS.
"""

from __future__ import annotations

import gc
from difflib import get_close_matches
from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.urls import get_resolver
from django.utils.module_loading import import_string

from traffik.limits import uids
from traffik.throttles.placement import misplaced
from traffik_django import conf, identities
from traffik_django.places import Place, places_by_language, views
from traffik_django.reading import is_meant

__all__ = [
    "CHECKS",
    "check_cors",
    "check_decorators",
    "check_deployment",
    "check_middleware",
    "check_names",
    "check_order",
    "check_settings",
    "check_uids",
    "check_uploads",
    "check_urls",
]

_LINE: Final = "traffik_django.middleware.ThrottleMiddleware"
_UPLOADS: Final = "traffik_django.uploads.UploadMiddleware"
_CORS: Final = "corsheaders.middleware.CorsMiddleware"
_UIDS: Final = "traffik.E012"
_NAMES: Final = 10
"""The most names that a hint lists."""

_MAKERS: Final[dict[object, str]] = {
    identities.session: "django.contrib.sessions.middleware.SessionMiddleware",
    identities.user: "django.contrib.auth.middleware.AuthenticationMiddleware",
}
"""The middlewares that have to be above ours, for an identifier that runs before the URL is resolved."""


def check_middleware(**_: Any) -> list[checks.CheckMessage]:
    """The middleware is there. It turns the exception of a hit that is refused in a view into a response."""
    if any(_is_a(path, _LINE) for path in settings.MIDDLEWARE):
        return []
    hint = f'Add the line "{_LINE}" to MIDDLEWARE.'
    message = "ThrottleMiddleware is not in MIDDLEWARE, so a hit that is refused in a view is answered with status 500."
    return [checks.Error(message, hint, id="traffik.E001")]


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """``settings.TRAFFIK`` is valid."""
    return [
        checks.Error(problem.message, problem.hint, id=f"traffik.E{problem.number:03}")
        for problem in conf.start().problems
    ]


def check_names(**_: Any) -> list[checks.CheckMessage]:
    """Every throttle that a decorator names exists."""
    if getattr(settings, "ROOT_URLCONF", None):
        get_resolver().url_patterns  # noqa: B018 - brings in the views
    known = conf.start().throttles
    return [
        checks.Error(
            f"@throttled({name!r}) names no throttle.", f"Add {name!r} to TRAFFIK['THROTTLES'].", id="traffik.E007"
        )
        for name in sorted(conf.throttles.expected - set(known))
    ]


def check_uids(**_: Any) -> list[checks.CheckMessage]:
    """No two different throttles have the same uid. In the project's store, a hit of the second would be an error."""
    if getattr(settings, "ROOT_URLCONF", None):
        get_resolver().url_patterns  # noqa: B018 - brings in the views, and with them their throttles
    gc.collect()
    pairs = {limit.uid: (limit, other) for limit in uids.held() for other in uids.rivals(limit)}
    hint = "Give one of them another uid, or use one throttle in both places."
    return [
        checks.Error(
            f"The uid {uid!r} has two definitions: {one!r} at {one.place}, {two!r} at {two.place}.", hint, id=_UIDS
        )
        for uid, (one, two) in sorted(pairs.items())
    ]


def check_uploads(**_: Any) -> list[checks.CheckMessage]:
    """The middleware for uploads is there, if there are throttles in UPLOADS."""
    if not conf.start().uploads or any(_is_a(path, _UPLOADS) for path in settings.MIDDLEWARE):
        return []
    message = "UploadMiddleware is not in MIDDLEWARE, so the throttles of TRAFFIK['UPLOADS'] count no uploads."
    return [checks.Error(message, f'Add the line "{_UPLOADS}" to MIDDLEWARE.', id="traffik.E014")]


def check_urls(**_: Any) -> list[checks.CheckMessage]:
    """Every pattern of URLS matches a view. A typing mistake would leave a view without its limit."""
    left = [pattern for pattern, _ in conf.start().rules]
    if not left or not getattr(settings, "ROOT_URLCONF", None):
        return []
    known: set[Place] = set()
    for places in places_by_language():
        left = [pattern for pattern in left if not any(is_meant(pattern, place) for place in places)]
        if not left:
            return []
        known |= places
    return [
        checks.Error(
            f"TRAFFIK['URLS'][{pattern!r}] matches no URL pattern, so it throttles nothing.",
            _known_like(pattern, known),
            id="traffik.E011",
        )
        for pattern in left
    ]


def check_order(**_: Any) -> list[checks.CheckMessage]:
    """The middleware is below those whose user or session the throttles of every request need."""
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


def check_decorators(**_: Any) -> list[checks.CheckMessage]:
    """Every URL leads to the decorated view."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    hint = "Decorate the view where it is defined, or in urls.py: path('search', throttled('10/s')(search))."
    return [
        checks.Warning(
            f"A URL leads to the undecorated {name}, so @throttled at {place} limits nothing.", hint, id="traffik.W002"
        )
        for name, place in misplaced(views())
    ]


def check_cors(**_: Any) -> list[checks.CheckMessage]:
    """Refusals of every request pass through the middleware for CORS, if there is one."""
    middleware = list(settings.MIDDLEWARE)
    cors = next((place for place, path in enumerate(middleware) if _is_a(path, _CORS)), None)
    if cors is None or not conf.start().everywhere or not any(_is_a(path, _LINE) for path in middleware[:cors]):
        return []
    message = f"ThrottleMiddleware is above {_CORS}, so its refusals have no CORS header fields."
    return [checks.Warning(message, f'Put the line "{_CORS}" above "{_LINE}".', id="traffik.W003")]


def check_deployment(**_: Any) -> list[checks.CheckMessage]:
    """The store is not in memory, since most deployments have more than one process."""
    store = conf.start().store
    if store is None or not store.in_process:
        return []
    message = f"{type(store).__name__} counts in each process by itself, so n processes admit n times the limit."
    hint = (
        "Share the store: TRAFFIK = {'STORE': {'CACHE': 'default'}}, where the cache is a RedisCache; or, on one "
        "machine, {'STORE': {'BACKEND': 'traffik.backends.lmdb.LMDBBackend'}}."
    )
    return [checks.Warning(message, hint, id="traffik.W001")]


def _known_like(pattern: str, known: set[Place]) -> str:
    """A hint with the names and routes that a wrong pattern may mean."""
    names = {name for place in known for name in place if name}
    names |= {f"{name.rpartition(':')[0]}:*" for name, _ in known if ":" in name}
    close = get_close_matches(pattern, sorted(names), 3)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    some = ", ".join(map(repr, sorted(names)[:_NAMES]))
    return f"There are: {some or 'none'}{', and others' if len(names) > _NAMES else ''}."


def _is_a(path: str, wanted: str) -> bool:
    """Whether the middleware at `path` is `wanted` or derived from it."""
    try:
        found = import_string(path)
    except ImportError:  # Django says so itself
        return False
    return any(f"{cls.__module__}.{cls.__qualname__}" == wanted for cls in getattr(found, "__mro__", ()))


CHECKS: Final = (
    check_settings,
    check_middleware,
    check_names,
    check_order,
    check_uids,
    check_uploads,
    check_urls,
    check_decorators,
    check_cors,
)
"""The checks that run with every `manage.py check`."""
