"""The path and the route of a request, before and after Django has resolved it."""

import asyncio
from types import ModuleType

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import include, path, re_path
from django.utils.decorators import sync_and_async_middleware

from tests.django.conftest import MIDDLEWARE
from traffik import HTTPThrottle, Rule
from traffik_django import throttled
from traffik_django.adapter import http

pytestmark = pytest.mark.usefixtures("backend")


def ok(request, **_):
    return HttpResponse("ok")


SHUT = {"rate": "0/min", "rules": [{"route": "in/<int:id>"}]}
URLS = [path("in/", include([path("<int:id>", ok), path("<str:name>/", ok)])), re_path(r"^old/(\d+)$", ok)]

other_urls = ModuleType("other_urls")
other_urls.urlpatterns = [path("in/<str:id>", ok)]


@sync_and_async_middleware
def use_other_urls(get_response):
    """A middleware that sets other URLs, as a site with several hosts does."""

    def middleware(request):
        request.urlconf = other_urls
        return get_response(request)

    return middleware


@pytest.fixture(params=["wsgi", "asgi"])
def status(request, client, async_client):
    """The status of a GET, under WSGI and under ASGI."""
    if request.param == "wsgi":
        return lambda url: client.get(url).status_code
    return lambda url: asyncio.run(async_client.get(url)).status_code


@pytest.mark.parametrize(
    ("where", "route"),
    [("/in/7", "in/<int:id>"), ("/in/x/", "in/<str:name>/"), ("/old/7", r"^old/(\d+)$"), ("/in/x", None), ("/", None)],
)
def test_a_request_has_its_route_before_django_resolves_it(where, route, serve_urls):
    serve_urls(*URLS)
    assert http.route(RequestFactory().get(where)) == route


def test_a_prefix_of_the_server_is_not_part_of_the_path():
    scope = {"type": "http", "method": "GET", "query_string": b"", "headers": [], "root_path": "/proxy"}
    requests = [
        RequestFactory().get("/in/7", SCRIPT_NAME="/proxy"),
        *(ASGIRequest({**scope, "path": path}, None) for path in ("/proxy/in/7", "/in/7")),
    ]
    assert [http.path(request) for request in requests] == ["/in/7"] * 3


def test_a_rule_by_route_in_the_settings_applies_to_the_view_that_is_found(status, serve_urls, backend):
    settings = {"STORE": backend, "THROTTLES": {"shut": SHUT}, "URLS": {"*": "shut"}}
    serve_urls(*URLS, TRAFFIK=settings)
    assert [status(where) for where in ("/in/7", "/in/x/", "/in/x")] == [429, 200, 404]


def test_a_rule_by_route_uses_the_urls_set_by_another_middleware(status, serve_urls, backend):
    rules = [{"route": "in/<str:id>"}]
    settings = {"STORE": backend, "THROTTLES": {"shut": {**SHUT, "rules": rules}}, "URLS": {"*": "shut"}}
    serve_urls(*URLS, TRAFFIK=settings, middleware=[*MIDDLEWARE, f"{__name__}.use_other_urls"])
    assert status("/in/7") == 429


def test_a_rule_by_route_works_for_a_hit_in_a_view(status, serve_urls, uid):
    throttle = HTTPThrottle(uid, "0/min", rules=Rule(route="in/<int:id>"))
    serve_urls(path("in/<int:id>", throttled(throttle)(ok)), path("<str:name>", throttled(throttle)(ok)))
    assert [status(where) for where in ("/in/7", "/x")] == [429, 200]
