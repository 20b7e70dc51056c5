"""Responses to refused clients, by the Accept header: a problem for programs, a page for browsers."""

from __future__ import annotations

from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist, loader

from traffik.adapters import Memory
from traffik.limits.defaults import fields_of
from traffik.responses.negotiation import HTML
from traffik.responses.rejections import Rejection
from traffik_django.adapter import MEMORY

__all__ = ["TEMPLATE", "Answer", "add_headers"]

TEMPLATE: Final = "429.html"
"""The template of the project's own page, like Django's 404.html. Its context: detail, retry_after, rejection."""


class Answer:
    """Makes the responses of one rejection, for any number of requests."""

    __slots__ = ("_replies", "rejection")

    def __init__(self, rejection: Rejection) -> None:
        self.rejection: Rejection = rejection
        self._replies: dict[str, tuple[bytes, dict[str, str]]] = {}

    def to(self, request: HttpRequest) -> HttpResponse:
        """The response to this request, with the headers of the rejection."""
        kind = self._kind(request)
        page = _page_of_the_project() if kind == HTML else None
        return self._response(kind, None if page is None else self._render(page, request))

    async def to_async(self, request: HttpRequest) -> HttpResponse:
        """`to` for async code. The project's own page may read the user, so it is rendered in a thread."""
        kind = self._kind(request)
        page = _page_of_the_project() if kind == HTML else None
        if page is None:
            return self._response(kind)
        return self._response(kind, await sync_to_async(self._render, thread_sensitive=True)(page, request))

    def _kind(self, request: HttpRequest) -> str:
        """The media type for the client."""
        # from META, since `request.headers` would read all header fields
        line = request.META.get("HTTP_ACCEPT")
        return self.rejection.kind(() if line is None else (line,))

    def _render(self, page: Any, request: HttpRequest) -> bytes:
        rejection = self.rejection
        context = {"detail": rejection.detail, "retry_after": rejection.retry_after, "rejection": rejection}
        content: str = page.render(context, request)
        return content.encode()

    def _response(self, kind: str, page: bytes | None = None) -> HttpResponse:
        ready = self._replies.get(kind)
        if ready is None:
            _, fields, body = self.rejection.reply((kind,))
            ready = self._replies[kind] = body, dict(fields)
        body, headers = ready
        return HttpResponse(body if page is None else page, status=self.rejection.status, headers=headers)


def add_headers(request: HttpRequest, response: Any) -> None:
    """Add the RateLimit fields of all decisions about the request."""
    memory: Memory | None = request.META.get(MEMORY)
    if not memory:
        return
    written = () if response.status_code < 400 else {name.lower().encode() for name in response.headers}
    fields: dict[str, bytes] = {}
    for raw, value in fields_of(memory, written, status=response.status_code):
        name = raw.decode()
        fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value
    for name, value in fields.items():
        response.headers[name] = value.decode()


def _page_of_the_project() -> Any:
    """The template of the project's own page; None if it has none."""
    try:
        return loader.get_template(TEMPLATE)
    except TemplateDoesNotExist:
        return None
