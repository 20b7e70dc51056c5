"""Hits in views and decorators on views, sync and async, with and without the middleware."""

import asyncio
from types import MappingProxyType

import pytest
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.generic import TemplateView

from traffik import ConfigurationError, HTTPThrottle, RateError
from traffik_django import ThrottledMixin, throttled

pytestmark = pytest.mark.usefixtures("backend")

NONE = []


def statuses(client, *paths, **extra):
    return [client.get(path, **extra).status_code for path in paths]


async def statuses_async(client, *paths, **extra):
    return [(await client.get(path, **extra)).status_code for path in paths]


def both(client, async_client, *paths):
    """The statuses under WSGI, followed by those under ASGI in the same quota."""
    return statuses(client, *paths) + asyncio.run(statuses_async(async_client, *paths))


class TestAHit:
    def test_it_works_in_a_sync_view(self, uid, client, serve_urls):
        throttle = HTTPThrottle(uid, "2/min")

        def view(request):
            assert throttle.sync.hit(request) is request
            return HttpResponse(str(throttle.sync.stat(request).hits_remaining))

        serve_urls(path("", view))
        assert [client.get("/").content for _ in range(2)] == [b"1", b"0"]
        assert statuses(client, "/") == [429]

    def test_it_works_in_an_async_view(self, uid, async_client, serve_urls):
        throttle = HTTPThrottle(uid, "2/min")

        async def view(request):
            assert await throttle.hit(request) is request
            return HttpResponse(str(bool(await throttle.check(request))))

        serve_urls(path("", view))
        assert asyncio.run(statuses_async(async_client, "/", "/", "/")) == [200, 200, 429]

    def test_it_counts_in_the_same_quota_under_wsgi_and_asgi(self, uid, client, async_client, serve_urls):
        throttle = HTTPThrottle(uid, "3/min")

        def view(request):
            throttle.sync.hit(request)
            return HttpResponse()

        async def aview(request):
            await throttle.hit(request)
            return HttpResponse()

        serve_urls(path("s", view), path("a", aview))
        assert both(client, async_client, "/s", "/a") == [200, 200, 200, 429]

    def test_a_refusal_without_the_middleware_is_an_error(self, uid, client, serve_urls):
        throttle = HTTPThrottle(uid, "0/min")
        serve_urls(path("", throttle.sync.hit), middleware=NONE)
        with pytest.raises(Exception, match="Too many requests"):
            client.get("/")

    def test_in_sync_code_an_async_identifier_is_an_error_that_names_it(self, uid, client, serve_urls):
        async def who(request):
            return "somebody"

        throttle = HTTPThrottle(uid, "1/min", identifier=who)
        serve_urls(path("", throttle.sync.hit))
        with pytest.raises(TypeError, match=r"who is async, so sync code cannot use it"):
            client.get("/")


@pytest.mark.parametrize("middleware", [NONE, ["traffik_django.middleware.ThrottleMiddleware"]])
class TestADecorator:
    def test_it_answers_without_the_middleware(self, client, serve_urls, middleware):
        @throttled("1/min", uid="alone")
        def view(request):
            return HttpResponse("in")

        serve_urls(path("", view), middleware=middleware)
        assert statuses(client, "/", "/") == [200, 429]
        assert client.get("/").json()["detail"] == "Too many requests. Retry in 60 seconds."

    def test_it_takes_a_rate_without_a_limit(self, client, serve_urls, middleware):
        view = throttled("unlimited")(lambda request: HttpResponse("served"))
        serve_urls(path("", view), middleware=middleware)
        assert statuses(client, "/", "/") == [200, 200]

    def test_on_an_async_view_it_answers_without_the_middleware(self, async_client, serve_urls, middleware):
        @throttled("1/min")
        async def view(request, number):
            return HttpResponse(str(number))

        serve_urls(path("<int:number>", view), middleware=middleware)
        assert asyncio.run(statuses_async(async_client, "/1", "/2")) == [200, 429]

    def test_several_throttles_are_one_decision(self, uid, client, serve_urls, middleware):
        one, two = HTTPThrottle(f"{uid}-1", "4/min"), HTTPThrottle(f"{uid}-2", "9/min")

        @throttled(one, two, cost=2)
        def view(request):
            return HttpResponse(f"{one.sync.stat(request).hits_remaining} {two.sync.stat(request).hits_remaining}")

        serve_urls(path("", view), middleware=middleware)
        assert [client.get("/").content for _ in range(2)] == [b"2 7", b"0 5"]
        refused = client.get("/").headers["RateLimit"]
        assert refused == f'"{one.uid}";r=0;t=60, "{two.uid}";r=5;t=60'

    def test_it_works_on_a_method(self, client, serve_urls, middleware):
        class Page(View):
            @throttled("1/min")
            def get(self, request):
                return HttpResponse()

            def post(self, request):
                return HttpResponse()

        serve_urls(path("", Page.as_view()), middleware=middleware)
        assert statuses(client, "/", "/") == [200, 429]
        assert client.post("/").status_code == 200

    def test_it_works_on_an_async_method(self, client, async_client, serve_urls, middleware):
        class Page(View):
            @throttled("2/min")
            async def get(self, request):
                return HttpResponse()

        serve_urls(path("", Page.as_view()), middleware=middleware)
        assert both(client, async_client, "/", "/") == [200, 200, 429, 429]


class TestAClass:
    def test_as_view_can_be_decorated(self, client, serve_urls):
        @method_decorator(throttled("1/min"), name="dispatch")
        class One(View):
            def get(self, request):
                return HttpResponse()

        @method_decorator(throttled("2/min"), name="dispatch")
        class Two(View):
            async def get(self, request):
                return HttpResponse()

        serve_urls(path("1", One.as_view()), path("2", Two.as_view()))
        assert statuses(client, "/1", "/1", "/2", "/2", "/2") == [200, 429, 200, 200, 429]

    def test_as_view_of_an_async_class_can_be_decorated(self, async_client, serve_urls):
        @method_decorator(throttled("1/min"), name="dispatch")
        class Page(View):
            async def get(self, request):
                return HttpResponse()

        serve_urls(path("", Page.as_view()))
        assert asyncio.run(statuses_async(async_client, "/", "/")) == [200, 429]

    def test_decorating_the_class_is_an_error_that_says_how_to_decorate_it(self):
        with pytest.raises(TypeError, match=r"method_decorator\(throttled\(…\), name='dispatch'\) on View"):
            throttled("1/min")(View)

    def test_the_mixin_limits_sync_and_async_views(self, client, async_client, serve_urls):
        class Sync(ThrottledMixin, View):
            throttles = ("2/min",)

            def get(self, request):
                return HttpResponse()

        class Async(ThrottledMixin, View):
            throttles = "3/min"

            async def get(self, request):
                return HttpResponse()

        serve_urls(path("s", Sync.as_view()), path("a", Async.as_view()))
        assert both(client, async_client, "/s", "/a", "/a") == [200, 200, 200, 200, 200, 429]

    def test_a_view_made_by_as_view_is_named_after_its_class(self, client, serve_urls):
        class Page(View):
            def get(self, request):
                return HttpResponse()

        Page.__qualname__ = "Page"
        serve_urls(path("", throttled("1/min")(Page.as_view())))
        assert client.get("/").headers["RateLimit"].startswith('"tests.django.test_views.Page";')

    def test_the_mixin_has_options(self, client, serve_urls):
        class Page(ThrottledMixin, TemplateView):
            throttles = ("2/min",)
            throttle_options = MappingProxyType({"cost": 3, "identifier": lambda request: "all"})

        class Open(ThrottledMixin, View):
            def get(self, request):
                return HttpResponse()

        serve_urls(path("", Page.as_view()), path("open", Open.as_view()))
        assert statuses(client, "/", "/open") == [429, 200]


class TestInvalidArguments:
    @pytest.mark.parametrize("given", [(), (5,), ("1/min", None)])
    def test_they_are_a_type_error(self, given):
        with pytest.raises(TypeError, match="takes throttles, names of throttles or rates"):
            throttled(*given)

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"cost": -1}, ValueError, "a cost is from 0"),
            ({"cost": "2"}, TypeError, "a cost is an integer"),
            ({"context": "search"}, TypeError, "a context is a mapping"),
            ({"context": {"scope": 2.5}}, TypeError, "the scope is text"),
        ],
    )
    def test_arguments_of_hit_are_errors_of_the_decorator(self, options, error, words):
        with pytest.raises(error, match=words):
            throttled("5/s", **options)
        with pytest.raises(error, match=words):
            type("Page", (ThrottledMixin, View), {"throttles": ("5/s",), "throttle_options": options})

    def test_an_invalid_rate_is_an_error(self):
        with pytest.raises(RateError):
            throttled("5 a day")

    def test_options_without_a_rate_are_an_error(self, uid):
        with pytest.raises(TypeError, match="cost_of: options are for rates"):
            throttled(HTTPThrottle(uid, "1/s"), cost_of=3)

    def test_a_function_without_a_name_needs_a_uid(self):
        with pytest.raises(TypeError, match="has no name to make a uid of"):
            throttled("1/s")(TemplateView())

    def test_the_mixin_after_the_view_is_an_error(self):
        with pytest.raises(ConfigurationError, match=r"since View\.dispatch hides that of ThrottledMixin: put"):
            type("Page", (View, ThrottledMixin), {"throttles": ["1/min"]})

    def test_a_class_method_is_an_error(self):
        with pytest.raises(TypeError, match="cannot be above @classmethod"):
            throttled("1/s")(classmethod(lambda cls, request: HttpResponse()))

    def test_a_call_without_a_request_is_an_error(self):
        with pytest.raises(TypeError, match="whose first argument is the request"):
            throttled("1/s", uid="no view")(lambda number: number)(5)
