"""The request that throttles hit: WSGI itself has only a dict."""

from __future__ import annotations

from typing import Any, Final

from traffik.model.descriptions import describe

__all__ = ["APP", "ROOT", "WSGIRequest"]

APP: Final = "traffik.app"
"""The key of the environ with the application that serves the request."""

ROOT: Final = "traffik.root"
"""The key of the environ with the prefix that the server adds in front of all paths."""


class WSGIRequest:
    """A WSGI request: `throttle.sync.hit(WSGIRequest(environ))`. All objects for one environ are one request.

    Args:
        environ: as the server calls an application with it; Flask, Bottle and WebOb have it as ``request.environ``,
            Falcon as ``req.env``.

    Raises:
        TypeError: it is not a dict.
    """

    __slots__ = ("environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        if not isinstance(environ, dict):
            raise TypeError(
                f"a WSGI request is made of its environ, a dict such as request.environ, not {describe(environ)}"
            )
        self.environ: dict[str, Any] = environ

    def __repr__(self) -> str:
        return f"<WSGIRequest {self.environ.get('REQUEST_METHOD')} {self.environ.get('PATH_INFO')!r}>"
