"""The live page as a URLconf: ``path("limits/", include(live_urls(page)))``."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, re_path
from django.views.decorators.csrf import csrf_exempt

from traffik.live.messages import LiveRequest
from traffik.live.pages import LivePage
from traffik.model.coroutines import run_sync

__all__ = ["live_urls"]


def live_urls(page: LivePage) -> list[URLPattern]:
    """URL patterns that serve `page`, under ASGI and WSGI; its `authorize` gets Django's request.

    A server with WSGI sends no stream, since that would hold a thread. The page then asks for the data every two
    seconds.
    """

    # A sync view, so that `authorize` may use the ORM. The page checks its own requests, by a token.
    @csrf_exempt
    def show(request: HttpRequest, path: str) -> HttpResponseBase:
        response = run_sync(page.answer(_translated(request, path), async_to_sync(_awaited)))
        if isinstance(response.body, bytes):
            sent: HttpResponseBase = HttpResponse(response.body, status=response.status)
        else:
            sent = StreamingHttpResponse(response.body, status=response.status)
        for name, value in response.headers:
            if name == "Set-Cookie":
                sent.cookies.load(value)
            else:
                sent.headers[name] = value
        return sent

    return [re_path(r"^(?P<path>.*)$", show, name="traffik-live")]


def _translated(request: HttpRequest, path: str) -> LiveRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    streams = isinstance(request, ASGIRequest)
    return LiveRequest(request.method or "", f"/{path}", headers, request.body, request.is_secure(), request, streams)


async def _awaited(answer: Any) -> Any:
    return await answer
