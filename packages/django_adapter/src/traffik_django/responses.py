"""What a refused client is answered: JSON for programs, a page for browsers, by the Accept header."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist, loader
from django.utils.html import escape

from traffik.adapters import Memory
from traffik.rejections import Rejection
from traffik_django.adapter import MEMORY

__all__ = ["TEMPLATE", "Answer", "add_headers"]

TEMPLATE: Final = "429.html"
"""The page of a project's own, as Django has 404.html and 500.html; its context: detail, retry_after, rejection."""

_JSON: Final = "application/json"
# Of those that a client takes equally the first is answered.
_KINDS: Final = (_JSON, "application/problem+json", "text/html")
_PLAIN: Final = {None, "", "*/*", _JSON}
"""What most programs accept, told without taking it apart."""

# As Django's own pages without a template: self-contained, in the language of HTTP.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <title>{title}</title>
</head>
<body>
  <h1>{title}</h1><p>{detail}</p>
</body>
</html>
"""


class Answer:
    """What a rejection is answered, to any number of requests."""

    __slots__ = ("_body", "_headers", "rejection")

    def __init__(self, rejection: Rejection) -> None:
        self.rejection = rejection
        self._headers = dict(rejection.headers)
        self._body = json.dumps(rejection.body).encode()

    def to(self, request: HttpRequest) -> HttpResponse:
        """The answer to this request, with the headers of the rejection."""
        kind = _kind(request)
        body = _page(request, self.rejection) if kind == "text/html" else self._body
        return HttpResponse(body, kind, self.rejection.status, headers=self._headers)


def add_headers(request: HttpRequest, response: Any) -> None:
    """Add the RateLimit fields of everything that was decided about the request."""
    memory: Memory | None = request.META.get(MEMORY)
    # A rejection brings its own.
    if not memory or (response.status_code >= 400 and response.has_header("RateLimit-Policy")):
        return
    every = [throttle.policies(decision).raw_fields(decision) for throttle, decision in memory.items()]
    fields = [each for each in every if each]
    if fields:
        response.headers["RateLimit-Policy"] = b", ".join(policy for (_, policy), _ in fields)
        response.headers["RateLimit"] = b", ".join(limit for _, (_, limit) in fields)


def _kind(request: HttpRequest) -> str:
    if request.META.get("HTTP_ACCEPT") in _PLAIN:
        return _JSON
    return request.get_preferred_type(_KINDS) or _JSON


def _page(request: HttpRequest, rejection: Rejection) -> str:
    context = {"detail": rejection.detail, "retry_after": rejection.retry_after, "rejection": rejection}
    try:
        return loader.get_template(TEMPLATE).render(context, request)
    except TemplateDoesNotExist as error:
        if error.args[0] != TEMPLATE:  # one that the project's own page includes
            raise
    title = HTTPStatus(rejection.status).phrase
    return _PAGE.format(title=title, detail=escape(rejection.detail))
