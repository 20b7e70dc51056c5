"""Throttles before every view, headers on every response, and a response for every `Throttled`; sync and async.

Add it with ``MIDDLEWARE = ["traffik_django.middleware.ThrottleMiddleware", …]``. Under ASGI, with async middleware
around it, it stays on the event loop. Under WSGI it uses no event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from traffik.responses.rejections import Throttled
from traffik.throttles import Throttle
from traffik.throttles.guards import is_preflight
from traffik_django import conf
from traffik_django.guards import is_async, refusal, refusal_sync
from traffik_django.responses import Answer, add_headers

__all__ = ["ThrottleMiddleware"]


_OF_PREFLIGHTS: Final = {"scope": "preflight"}
"""The context of a preflight that reaches a view. Many views do the same work for OPTIONS as for GET, so the preflight
counts, but in its own quota. (A middleware for CORS answers preflights before they reach a view.)"""


class ThrottleMiddleware:
    """Applies the throttles of ``TRAFFIK["URLS"]``, and answers hits that are refused in a view.

    Throttles with a rule by route are hit once Django has found the view, so requests without a view do not count.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._async = is_async(get_response)
        self.process_view: Callable[..., Any] = self._view
        if self._async:
            markcoroutinefunction(cast("Any", self))
            self.process_view = self._view_async

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._async:
            return self._call_async(request)
        response = refusal_sync(_throttles_before_view(request), request)
        if response is None:
            response = self.get_response(request)
        if conf.current().headers:
            add_headers(request, response)
        return response

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        response = await refusal(_throttles_before_view(request), request)
        if response is None:
            response = await self.get_response(request)
        if conf.current().headers:
            add_headers(request, response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The response to a hit that was refused in a view."""
        return Answer(exception.rejection).to(request) if isinstance(exception, Throttled) else None

    def _view(self, request: HttpRequest, *_: Any) -> HttpResponseBase | None:
        return refusal_sync(_throttles_of_view(request), request, context=_context(request))

    async def _view_async(self, request: HttpRequest, *_: Any) -> HttpResponseBase | None:
        return await refusal(_throttles_of_view(request), request, context=_context(request))


def _throttles_before_view(request: HttpRequest) -> Sequence[Throttle[Any]]:
    """The throttles for every request that do not need the view."""
    everywhere = conf.current().everywhere
    return _chosen(everywhere, by_route=False) if everywhere and not _is_spared(request) else ()


def _throttles_of_view(request: HttpRequest) -> list[Throttle[Any]]:
    """The throttles that need the view, and for a preflight also those that were not hit before."""
    config = conf.current()
    everywhere = config.everywhere if _is_spared(request) else _chosen(config.everywhere, by_route=True)
    return [*everywhere, *config.throttles_for(request.resolver_match)]


def _context(request: HttpRequest) -> Mapping[str, Any] | None:
    return _OF_PREFLIGHTS if _is_spared(request) else None


def _is_spared(request: HttpRequest) -> bool:
    """Whether it is a CORS preflight, which does not count against the client's quota unless the settings say so."""
    return request.method == "OPTIONS" and not conf.current().count_preflights and is_preflight(request)


def _chosen(throttles: Iterable[Throttle[Any]], *, by_route: bool) -> list[Throttle[Any]]:
    """The throttles with a rule by route, or the throttles without one."""
    return [each for each in throttles if (each.rules is not None and each.rules.by_route) is by_route]
