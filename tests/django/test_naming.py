"""Views get their uids from their dotted names. Each view has its own quota, even if two have the same name."""

import pytest
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.decorators import api_view

from traffik_django import throttled

pytestmark = pytest.mark.usefixtures("backend")


def statuses(client, *paths):
    return [client.get(path).status_code for path in paths]


def test_two_views_of_a_factory_have_two_quotas(client, serve_urls):
    limit = throttled("1/min")

    def make(limit):
        @limit
        def view(request):
            return HttpResponse()

        return view

    serve_urls(path("a", make(limit)), path("b", make(limit)), path("c", make(throttled("1/min"))))
    assert statuses(client, "/a", "/a", "/b", "/b", "/c", "/c") == [200, 429] * 3


def test_two_classes_of_a_factory_have_two_quotas(client, serve_urls):
    def make():
        @method_decorator(throttled("1/min"), name="dispatch")
        class Page(View):
            def get(self, request):
                return HttpResponse()

        return Page.as_view()

    serve_urls(path("a", make()), path("b", make()))
    assert statuses(client, "/a", "/a", "/b", "/b", "/a", "/b") == [200, 429, 200, 429, 429, 429]


class Page(View):
    def get(self, request):
        return HttpResponse()


@api_view(["GET"])
def orders(request):
    return HttpResponse()


def test_results_of_as_view_and_api_view_are_named_after_their_class_or_function(client, serve_urls):
    serve_urls(path("page", throttled("1/min")(Page.as_view())), path("orders", throttled("1/min")(orders)))
    policies = [client.get(path).headers["RateLimit-Policy"] for path in ("/page", "/orders")]
    assert policies == [f'"{__name__}.{name}";q=1;w=60' for name in ("Page", "orders")]


def test_a_generator_is_an_error_that_says_what_to_return():
    with pytest.raises(TypeError, match="return a StreamingHttpResponse instead of yielding"):

        @throttled("1/min")
        def view(request):
            yield b""
