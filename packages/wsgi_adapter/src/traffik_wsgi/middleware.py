"""Throttles in front of a whole application, and headers on all its responses."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from traffik.limits.defaults import fields_of
from traffik.model.coroutines import run_sync
from traffik.responses.rejections import Rejection, Reply, Throttled
from traffik.throttles.guards import PreparedRejections, Throttles, each_of, hit_each, is_preflight
from traffik_wsgi.adapter import http
from traffik_wsgi.requests import APP, ROOT, WSGIRequest
from traffik_wsgi.responses import reply_to

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ThrottleMiddleware"]

_WRITES: Final = "traffik.headers"
"""The key of the environ that is set once a middleware is going to write the headers."""


class ThrottleMiddleware:
    """Hits `throttles` before the application is called, and adds the RateLimit headers to every response.

    Without throttles it only adds the headers of the throttles that were hit inside the application. It also answers
    a `Throttled` that leaves the application before its response has begun.

    Args:
        app: the application inside.
        throttles: one or several throttles, hit as one. The one with the longest wait rejects. A throttle that the
            request has hit already, in another middleware for example, is not hit again. If the handler of a throttle
            returns a `traffik.responses.rejections.Reply`, it is sent.
        headers: whether responses that are not refusals get ``RateLimit`` and ``RateLimit-Policy``.
        count_preflights: whether CORS preflights are counted. A browser sends them, and its user cannot avoid them.

    Raises:
        TypeError: one of the throttles is none, or is for WebSockets.
    """

    def __init__(
        self,
        app: WSGIApplication,
        throttles: Throttles = (),
        *,
        headers: bool = True,
        count_preflights: bool = False,
    ) -> None:
        self.app = app
        self._throttles = each_of(throttles)
        for each in self._throttles:
            if each.websocket:
                raise TypeError(f"a WSGI server has no WebSockets, so {each!r} counts nothing: use an HTTPThrottle")
        self._headers = headers
        self._count_preflights = count_preflights
        self._rejections: PreparedRejections[Rejection] = PreparedRejections(_same)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.setdefault(APP, self.app)
        environ.setdefault(ROOT, environ.get("SCRIPT_NAME", ""))
        request = WSGIRequest(environ)
        try:
            answer = self._hit(request)
            if answer is not None:
                return _send(request, answer, start_response)
            # Only the outermost middleware writes the headers, since it sees all decisions.
            if not self._headers or environ.get(_WRITES):
                return self.app(environ, start_response)
            environ[_WRITES] = True
            return self.app(environ, _adding_headers(request, start_response))
        except Throttled as error:
            return _send(request, reply_to(environ, error), start_response, sys.exc_info())

    def _hit(self, request: WSGIRequest) -> Reply | None:
        """Hit the throttles. Returns the response to a refusal."""
        if not self._throttles or (not self._count_preflights and is_preflight(request)):
            return None
        answer: Any = run_sync(hit_each(self._throttles, request, response=Reply, respond=self._rejections, sync=True))
        return answer.reply(http.headers(request, "accept")) if isinstance(answer, Rejection) else answer


def _same(rejection: Rejection) -> Rejection:
    return rejection


def _adding_headers(request: WSGIRequest, start_response: StartResponse) -> StartResponse:
    """`start_response`, with the RateLimit headers of all throttles that the request has hit until then."""
    memory = http.memory(request)

    def start(status: str, fields: list[tuple[str, str]], *error: Any) -> Any:
        code = int(status[:3])
        written = () if code < 400 else {name.lower().encode("latin-1") for name, _ in fields}
        ours = fields_of(memory, written, status=code) if memory else ()
        return start_response(status, [*fields, *((name.decode(), value.decode()) for name, value in ours)], *error)

    return start


def _send(request: WSGIRequest, reply: Reply, start_response: StartResponse, *error: Any) -> list[bytes]:
    """Send a whole response. After an error it replaces a response that the server has not begun to send."""
    fields = [*reply.headers, ("Content-Length", str(len(reply.body)))]
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", fields, *error)
    return [] if http.method(request) == "HEAD" else [reply.body]
