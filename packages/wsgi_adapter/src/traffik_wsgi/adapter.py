"""The adapter for WSGI: it reads plain data from a request's environ, and rejects requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from traffik.adapters import Memory
from traffik.model.errors import ConfigurationError
from traffik.responses.rejections import Rejection, Throttled
from traffik_wsgi.requests import APP, ROOT, WSGIRequest

__all__ = ["HTTPAdapter", "http"]

_MEMORY: Final = "traffik.model.decisions"
"""The key of the environ under which the decisions about a request are kept."""

_PLAIN: Final = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
"""The header fields that WSGI hands over without the prefix ``HTTP_``."""


class HTTPAdapter:
    """For `WSGIRequest`."""

    injects: type | None = None
    websocket = False
    store_advice = "give a store, such as backend = InMemoryBackend(), to the throttle (backend=backend)"

    def peer(self, connection: WSGIRequest, /) -> str | None:
        return connection.environ.get("REMOTE_ADDR") or None

    def headers(self, connection: WSGIRequest, name: str, /) -> Sequence[str]:
        key = _PLAIN.get(name) or "HTTP_" + name.upper().replace("-", "_")
        line = connection.environ.get(key)
        return () if line is None else (line,)

    def method(self, connection: WSGIRequest, /) -> str:
        method: str = connection.environ["REQUEST_METHOD"]
        return method

    def path(self, connection: WSGIRequest, /) -> str:
        environ = connection.environ
        whole: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        # WSGI decodes the bytes of a path as Latin-1, and frameworks decode them as UTF-8
        return whole.removeprefix(environ.get(ROOT, "")).encode("latin-1").decode("utf-8", "replace") or "/"

    def route(self, connection: WSGIRequest, /) -> NoReturn:
        raise ConfigurationError(
            "WSGI does not tell which route matches a request; name paths in the rule, as in Rule('/items/*'), or hit "
            "the throttle in the view"
        )

    def app(self, connection: WSGIRequest, /) -> object | None:
        return connection.environ.get(APP)

    def subapps(self, app: Any, /) -> Iterable[object]:
        return ()

    def memory(self, connection: WSGIRequest, /) -> Memory:
        memory: Memory = connection.environ.setdefault(_MEMORY, {})
        return memory

    def reject(self, connection: WSGIRequest, rejection: Rejection, /) -> NoReturn:
        raise Throttled(rejection)


http: Final = HTTPAdapter()
