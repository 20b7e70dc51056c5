"""Requests from other sites: a middleware for CORS answers preflights, and they consume no quota."""

import asyncio
import sys
from types import ModuleType

import pytest
from django.core import checks
from django.http import HttpResponse
from django.urls import path

from traffik_django import throttled

pytestmark = pytest.mark.usefixtures("backend")

OURS = "traffik_django.middleware.ThrottleMiddleware"
CORS = "corsheaders.middleware.CorsMiddleware"
ORIGIN = {"HTTP_ORIGIN": "https://shop.example"}
PREFLIGHT = {**ORIGIN, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}


class CorsMiddleware:
    """Behaves as the middleware of django-cors-headers."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        preflight = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        response = HttpResponse() if preflight else self.get_response(request)
        response["Access-Control-Allow-Origin"] = request.headers["Origin"]
        return response


CorsMiddleware.__module__, CorsMiddleware.__qualname__ = CORS.rpartition(".")[0], "CorsMiddleware"


@pytest.fixture(autouse=True)
def corsheaders(monkeypatch):
    """A module of that name, without the package."""
    module = ModuleType("corsheaders.middleware")
    module.CorsMiddleware = CorsMiddleware
    monkeypatch.setitem(sys.modules, "corsheaders", ModuleType("corsheaders"))
    monkeypatch.setitem(sys.modules, "corsheaders.middleware", module)


def view(request):
    return HttpResponse(request.method)


def limits(**options):
    return {"STORE": None, "THROTTLES": {"all": "2/min"}, "URLS": {"*": "all"}, **options}


def options(client, count, **extra):
    return [client.options("/", **{**PREFLIGHT, **extra}).status_code for _ in range(count)]


def gets(client, count):
    return [client.get("/", **ORIGIN).status_code for _ in range(count)]


class TestPreflights:
    @pytest.mark.parametrize("middleware", [[OURS, CORS], [CORS, OURS]])
    def test_they_consume_no_quota_and_are_never_refused(self, client, serve_urls, middleware):
        serve_urls(path("", view), middleware=middleware, TRAFFIK=limits())
        assert options(client, 5) == [200] * 5
        assert gets(client, 3) == [200, 200, 429]
        assert options(client, 5) == [200] * 5

    @pytest.mark.parametrize("urls", [{"*": "all"}, {"": "all"}])
    def test_those_that_reach_a_view_have_a_separate_quota(self, client, serve_urls, urls):
        serve_urls(path("", view), middleware=[OURS], TRAFFIK=limits(URLS=urls))
        assert options(client, 3) == [200, 200, 429]
        assert gets(client, 3) == [200, 200, 429]

    def test_under_asgi_those_that_reach_a_view_have_a_separate_quota(self, async_client, serve_urls):
        fields = {"origin": "a", "access-control-request-method": "GET"}

        async def ask():
            return [(await async_client.options("/", headers=fields)).status_code for _ in range(3)]

        serve_urls(path("", view), middleware=[OURS], TRAFFIK=limits())
        assert asyncio.run(ask()) == [200, 200, 429]

    def test_they_are_counted_if_the_setting_says_so(self, client, serve_urls):
        serve_urls(path("", view), middleware=[OURS, CORS], TRAFFIK=limits(COUNT_PREFLIGHTS=True))
        assert options(client, 3) == [200, 200, 429]

    def test_an_options_request_without_the_header_fields_is_counted(self, client, serve_urls):
        serve_urls(path("", view), middleware=[OURS], TRAFFIK=limits())
        assert [client.options("/", **ORIGIN).status_code for _ in range(3)] == [200, 200, 429]
        assert gets(client, 1) == [429]


def found():
    return [message.id for message in checks.run_checks(tags=["traffik"])]


class TestChecks:
    def test_they_find_our_middleware_above_the_one_for_cors(self, serve_urls):
        serve_urls(path("", view), middleware=[OURS, CORS], TRAFFIK=limits())
        assert found() == ["traffik.W003"]

    @pytest.mark.parametrize("urls", [{"*": "all"}, {}])
    def test_they_find_nothing_in_the_other_order_or_without_limits_for_all(self, serve_urls, urls):
        order = [CORS, OURS] if urls else [OURS, CORS]
        serve_urls(path("", view), middleware=order, TRAFFIK=limits(URLS=urls))
        assert found() == []

    def test_they_find_a_flag_that_is_not_a_bool(self, serve_urls):
        serve_urls(path("", view), TRAFFIK=limits(COUNT_PREFLIGHTS="no"))
        assert "traffik.E002" in found()

    def test_they_find_urls_that_lead_to_an_undecorated_view(self, serve_urls):
        guarded = throttled("1/min")(view)
        serve_urls(path("", view))
        assert found() == ["traffik.W002"]
        serve_urls(path("", guarded))
        assert found() == []
