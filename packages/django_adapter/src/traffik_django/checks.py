"""System checks: what would fail in production fails `manage.py check` first, with the line that mends it.

traffik.E001 the middleware is missing; E002 to E006 the settings, by their keys: TRAFFIK itself, STORE, IDENTIFIER,
THROTTLES, URLS; E007 a decorator names a throttle that is not there; W001, of a deployment, a store in memory.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from traffik_django import conf
from traffik_django.middleware import ThrottleMiddleware

__all__ = ["check_deployment", "check_middleware", "check_names", "check_settings"]

_LINE: Final = "traffik_django.middleware.ThrottleMiddleware"


def check_middleware(**_: Any) -> list[checks.CheckMessage]:
    """A hit that is refused in a view is an exception, which only the middleware answers."""
    if any(_is_ours(path) for path in settings.MIDDLEWARE):
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
    known = conf.start().throttles
    return [
        checks.Error(
            f"@throttled({name!r}) names no throttle.", f"Add {name!r} to TRAFFIK['THROTTLES'].", id="traffik.E007"
        )
        for name in sorted(conf.throttles.expected - set(known))
    ]


def check_deployment(**_: Any) -> list[checks.CheckMessage]:
    """A deployment has more than one process, mostly."""
    store = conf.start().store
    if store is None or not store.in_process:
        return []
    message = f"{type(store).__name__} counts in each process by itself, so that n processes admit n times the limit."
    hint = "Share the store: TRAFFIK = {'STORE': {'CACHE': 'default'}}, where the cache is a RedisCache."
    return [checks.Warning(message, hint, id="traffik.W001")]


def _is_ours(path: str) -> bool:
    if path == _LINE:
        return True
    try:
        found = import_string(path)
    except ImportError:  # Django says so itself
        return False
    return isinstance(found, type) and issubclass(found, ThrottleMiddleware)
