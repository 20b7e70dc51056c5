"""The adapter for Django: it reads plain data from a request's META, and rejects requests."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from django.apps import apps
from django.urls import Resolver404, get_resolver

from traffik.adapters import Memory
from traffik.responses.rejections import Rejection
from traffik_django.errors import Throttled

__all__ = ["MEMORY", "STORE_ADVICE", "HTTPAdapter", "http"]

MEMORY: Final = "traffik.model.decisions"
"""The key of META under which the decisions about a request are kept. Wrappers of a request have the same META."""


STORE_ADVICE: Final = (
    'add "traffik_django" to INSTALLED_APPS and "traffik_django.middleware.ThrottleMiddleware" to MIDDLEWARE in the '
    "settings, whose TRAFFIK['STORE'] names the store (in memory by default), or give the throttle a store "
    "(backend=backend)"
)
"""The advice for a project without a store."""


class HTTPAdapter:
    """For `django.http.HttpRequest`, under WSGI and ASGI."""

    injects: type | None = None
    websocket = False
    store_advice = STORE_ADVICE

    def peer(self, connection: Any, /) -> str | None:
        return connection.META.get("REMOTE_ADDR") or None

    def headers(self, connection: Any, name: str, /) -> Sequence[str]:
        scope = getattr(connection, "scope", None)
        if scope is not None:  # under ASGI, where META does not tell hyphens and underscores in names apart
            wanted = name.encode("latin-1")
            return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]
        line: str | None = connection.headers.get(name)
        return () if line is None else (line,)  # WSGI joins the lines

    def method(self, connection: Any, /) -> str:
        method: str = connection.method
        return method

    def path(self, connection: Any, /) -> str:
        # Not `path`, which may have a prefix or not for the same view.
        path: str = connection.path_info
        return path

    def route(self, connection: Any, /) -> str | None:
        match = connection.resolver_match
        if match is None:  # a middleware that runs before Django has resolved the path
            resolver = get_resolver(getattr(connection, "urlconf", None))
            with suppress(Resolver404):
                match = resolver.resolve(connection.path_info)
        route: str | None = match and match.route
        return route

    def app(self, connection: Any, /) -> object | None:
        # A process runs one Django project, so the registry of its apps can serve as the application.
        return apps

    def subapps(self, app: object, /) -> Iterable[object]:
        return ()

    def memory(self, connection: Any, /) -> Memory:
        meta = connection.META
        memory: Memory | None = meta.get(MEMORY)
        if memory is None:
            memory = meta[MEMORY] = {}
        return memory

    def reject(self, connection: Any, rejection: Rejection, /) -> Awaitable[None] | None:
        raise Throttled(rejection)


http: Final = HTTPAdapter()
