"""The middleware: throttles from the settings, headers on responses, and no change of threads."""

import asyncio
import threading
from types import MappingProxyType

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.urls import include, path
from django.views import View

from traffik import HTTPThrottle
from traffik_django import ThrottledMixin, throttled, throttles
from traffik_django.middleware import ThrottleMiddleware

pytestmark = pytest.mark.usefixtures("backend")


def ok(request):
    return HttpResponse("ok")


async def aok(request, pk=None):
    return HttpResponse("ok")


def missing(request):
    raise Http404


def fields(response):
    return {name: response.headers.get(name) for name in ("RateLimit-Policy", "RateLimit", "Retry-After")}


@pytest.fixture(params=["wsgi", "asgi"])
def get(request, client, async_client):
    """Get a path under WSGI, and under ASGI."""
    if request.param == "wsgi":
        return client.get
    return lambda *args, **kwargs: asyncio.run(async_client.get(*args, **kwargs))


def guarded(clock, urls, **throttles):
    store = {"BACKEND": "traffik.backends.inmemory.InMemoryBackend", "OPTIONS": {"clock": clock}}
    return {"STORE": store, "THROTTLES": throttles, "URLS": urls}


class TestAnAdmittedRequest:
    def test_it_has_the_fields_of_a_hit_in_the_view(self, uid, get, serve_urls):
        throttle = HTTPThrottle(uid, "5/min")

        async def view(request):
            await throttle.hit(request)
            return HttpResponse()

        serve_urls(path("", view))
        assert fields(get("/")) == {
            "RateLimit-Policy": f'"{uid}";q=5;w=60',
            "RateLimit": f'"{uid}";r=4;t=60',
            "Retry-After": None,
        }

    def test_it_has_the_fields_of_every_throttle(self, get, serve_urls, clock):
        serve_urls(path("a", ok, name="a"), TRAFFIK=guarded(clock, {"*": "all", "a": "one"}, all="9/min", one="5/min"))
        assert fields(get("/a"))["RateLimit"] == '"all";r=8;t=60, "one";r=4;t=60'

    def test_it_has_no_fields_if_nothing_was_counted(self, get, serve_urls):
        serve_urls(path("", ok))
        assert set(fields(get("/")).values()) == {None}

    def test_it_has_no_fields_if_they_are_switched_off(self, get, serve_urls, clock):
        serve_urls(path("", aok), TRAFFIK={**guarded(clock, {"*": "all"}, all="9/min"), "HEADERS": False})
        assert set(fields(get("/")).values()) == {None}

    def test_an_error_has_the_fields(self, get, serve_urls, clock):
        serve_urls(path("", missing), TRAFFIK=guarded(clock, {"*": "all"}, all="9/min"))
        response = get("/")
        assert (response.status_code, fields(response)["RateLimit"]) == (404, '"all";r=8;t=60')


class TestARefusedRequest:
    def test_it_never_reaches_the_view(self, get, serve_urls, clock):
        calls = []

        def view(request):
            calls.append(request)
            return HttpResponse()

        serve_urls(path("", view), TRAFFIK=guarded(clock, {"*": "all"}, all="1/min"))
        assert [get(where).status_code for where in ("/", "/", "/nowhere")] == [200, 429, 429]
        assert len(calls) == 1

    def test_it_has_all_fields_once(self, get, serve_urls, clock):
        serve_urls(path("", ok), TRAFFIK=guarded(clock, {"*": "all"}, all="0/min"))
        assert fields(get("/")) == {
            "RateLimit-Policy": '"all";q=0;w=60',
            "RateLimit": None,
            "Retry-After": None,
        }

    def test_a_refusal_in_a_view_gets_a_response(self, uid, get, serve_urls):
        throttle = HTTPThrottle(uid, "0/min", identifier=lambda request: "all")

        def view(request):
            throttle.sync.hit(request)

        serve_urls(path("", view))
        assert get("/").status_code == 429

    def test_it_gets_a_503_if_the_store_does_not_answer(self, get, serve_urls):
        store = {"BACKEND": "traffik.backends.redis.RedisBackend", "LOCATION": "redis://127.0.0.1:1"}
        away = {"STORE": {**store, "OPTIONS": {"on_error": "throttle"}}, "THROTTLES": {"all": "5/s"}}
        serve_urls(path("", ok), TRAFFIK={**away, "URLS": {"*": "all"}})
        response = get("/")
        assert (response.status_code, int(response.headers["Retry-After"]) > 0) == (503, True)

    def test_another_error_is_not_changed(self, get, serve_urls):
        serve_urls(path("", lambda request: 1 / 0))
        with pytest.raises(ZeroDivisionError):
            get("/")

    def test_a_handler_that_returns_no_response_lets_it_pass(self, get, serve_urls, clock):
        lenient = {"rate": "0/min", "handle_throttled": "builtins.callable"}
        serve_urls(path("", ok), TRAFFIK=guarded(clock, {"*": "all"}, all=lenient))
        assert get("/").status_code == 200

    def test_a_handler_may_hit_another_throttle_that_refuses(self, uid, get, serve_urls, clock):
        stricter = HTTPThrottle(uid, "1/min")

        def handle(request):
            stricter.sync.hit(request)

        patient = {"rate": "0/min", "handle_throttled": handle}
        serve_urls(path("", ok), TRAFFIK={**guarded(clock, {"*": "all"}, all=patient), "STORE": None})
        assert [get("/").status_code for _ in range(2)] == [200, 429]

    def test_a_cost_function_may_hit_another_throttle_that_refuses(self, uid, get, serve_urls, clock):
        stricter = HTTPThrottle(uid, "1/min")

        def cost(request):
            stricter.sync.hit(request)
            return 1

        limit = {"rate": "9/min", "cost": cost}
        serve_urls(path("", ok), TRAFFIK={**guarded(clock, {"*": "all"}, all=limit), "STORE": None})
        assert [get("/").status_code for _ in range(2)] == [200, 429]


class TestURLs:
    URLS = (
        path("plain", ok),
        path("login", ok, name="login"),
        path("api/", include(([path("a", ok, name="a"), path("b/<int:pk>", aok, name="b")], "api"))),
    )

    @pytest.mark.parametrize(
        ("pattern", "refused"),
        [
            ("*", ["/plain", "/login", "/api/a", "/api/b/5", "/nowhere"]),
            ("login", ["/login"]),
            ("api:*", ["/api/a", "/api/b/5"]),
            ("api:b", ["/api/b/5"]),
            ("api/b/*", ["/api/b/5"]),
            ("plain", ["/plain"]),
            ("api", []),
        ],
    )
    def test_they_are_matched_by_name_namespace_or_route(self, pattern, refused, get, serve_urls, clock):
        serve_urls(*self.URLS, TRAFFIK=guarded(clock, {pattern: ["shut"]}, shut="0/min"))
        asked = ["/plain", "/login", "/api/a", "/api/b/5", "/nowhere"]
        assert [where for where in asked if get(where).status_code == 429] == refused

    def test_a_throttle_of_two_patterns_is_hit_once(self, get, serve_urls, clock):
        serve_urls(*self.URLS, TRAFFIK=guarded(clock, {"api:*": "api", "api:a": "api"}, api="2/min"))
        assert [get("/api/a").status_code for _ in range(3)] == [200, 200, 429]

    def test_varying_the_path_does_not_escape_the_limit(self, get, serve_urls, clock):
        serve_urls(*self.URLS, TRAFFIK=guarded(clock, {"api:b": "api"}, api="2/min"))
        assert [get(f"/api/b/{pk}").status_code for pk in range(3)] == [200, 200, 429]


class TestThreads:
    """Django does not adapt the middleware: sync code stays in its thread, and async code in its event loop."""

    def test_django_adapts_the_middleware_in_neither_handler(self, serve_urls):
        serve_urls(path("", ok))
        for handler, is_async in [(WSGIHandler(), False), (ASGIHandler(), True)]:
            handler.load_middleware(is_async=is_async)
            assert asyncio.iscoroutinefunction(handler._view_middleware[0]) is is_async
            (view,) = handler._view_middleware
            assert isinstance(view.__self__, ThrottleMiddleware)

    def test_an_async_hit_stays_in_the_thread_of_the_loop(self, async_client, serve_urls, configured):
        seen = []

        def who(request):
            seen.append(threading.get_ident())
            return "somebody"

        serve_urls(path("", aok), TRAFFIK={"IDENTIFIER": who, "THROTTLES": {"a": "5/s"}, "URLS": {"*": "a"}})
        asyncio.run(async_client.get("/"))
        assert seen == [threading.get_ident()]


class TestARequestIsCountedOnce:
    @pytest.fixture
    def settings(self, clock):
        return guarded(clock, {"*": "all", "page": ["all", "page"]}, all="9/min", page="9/min")

    def left(self, get):
        return [field.split(";")[1] for field in fields(get("/page"))["RateLimit"].split(", ")]

    def test_with_the_middleware_and_decorators_that_name_the_same_throttles(self, get, serve_urls, settings):
        @throttled("page", "all", cost=5)
        @throttled("page")
        def page(request):
            return HttpResponse()

        serve_urls(path("page", page, name="page"), TRAFFIK=settings)
        assert [self.left(get) for _ in range(2)] == [["r=8", "r=8"], ["r=7", "r=7"]]

    def test_with_the_middleware_and_a_mixin(self, get, serve_urls, settings):
        class Page(ThrottledMixin, View):
            throttles = ("page",)

            def get(self, request):
                return HttpResponse()

        serve_urls(path("page", Page.as_view(), name="page"), TRAFFIK=settings)
        assert self.left(get) == ["r=8", "r=8"]

    def test_but_a_hit_in_the_view_counts_it_again(self, client, serve_urls, settings):
        def page(request):
            throttles["page"].sync.hit(request)
            return HttpResponse()

        serve_urls(path("page", page, name="page"), TRAFFIK=settings)
        assert self.left(client.get) == ["r=8", "r=7"]

    def test_with_the_middleware_listed_twice(self, get, serve_urls, settings):
        twice = ["traffik_django.middleware.ThrottleMiddleware"] * 2
        serve_urls(path("page", ok, name="page"), middleware=twice, TRAFFIK=settings)
        assert self.left(get) == ["r=8", "r=8"]


def test_a_rule_applies_in_the_middleware_and_in_a_decorator(get, serve_urls, clock):
    @throttled("shut")
    def page(request, where):
        return HttpResponse()

    shut = {"rate": "0/min", "rules": [{"path": "/a/**", "methods": ["GET"]}]}
    urls = [path("a/<where>", ok, name="named"), path("<path:where>", page)]
    serve_urls(*urls, TRAFFIK=guarded(clock, {"named": "shut"}, shut=shut))
    assert [get(where).status_code for where in ("/b", "/a/b/c", "/a/b")] == [200, 429, 429]


class TestAHandler:
    """`handle_throttled` of throttles for all URLs, for one URL, and of a decorator."""

    @pytest.fixture(params=["*", "page", None])
    def page(self, request, get, serve_urls, clock):
        """Gets the response to a refused request whose handler returns the given value."""

        def page(handler):
            throttle = {"rate": "1/min", "handle_throttled": handler}
            urls = {} if request.param is None else {request.param: "none"}
            view = ok if urls else throttled("none")(ok)
            serve_urls(path("", view, name="page"), TRAFFIK=guarded(clock, urls, none=throttle))
            return [get("/") for _ in range(2)][1]

        return page

    @pytest.mark.parametrize("status", [200, 403])
    def test_it_may_return_a_response(self, page, status):
        response = page(lambda request, decision: HttpResponse(f"{decision.allowed}", status=status))
        assert (response.status_code, response.content) == (status, b"False")
        assert fields(response)["RateLimit"].startswith('"none";r=0')

    def test_it_may_return_a_stream(self, page):
        assert page(lambda: StreamingHttpResponse([b"slow down"], status=429)).status_code == 429

    @pytest.mark.parametrize("answer", [None, "denied", False])
    def test_any_other_result_lets_the_request_pass(self, page, answer):
        assert page(lambda: answer).content == b"ok"

    def test_it_may_hit_another_throttle_that_refuses(self, page):
        def handler(request):
            HTTPThrottle("other", "0/min").sync.hit(request)

        assert page(handler).json()["violated-policies"] == ["other"]


def test_an_async_handler_may_return_a_response_in_async_code(async_client, serve_urls, clock):
    async def handler():
        return HttpResponse("later", status=429)

    none = {"rate": "0/min", "handle_throttled": handler}
    serve_urls(path("", aok), TRAFFIK=guarded(clock, {"*": "none"}, none=none))
    assert asyncio.run(async_client.get("/")).content == b"later"


def test_a_handler_of_the_mixin_may_return_a_response(get, serve_urls):
    class Page(ThrottledMixin, View):
        throttles = ("0/min",)
        throttle_options = MappingProxyType({"handle_throttled": lambda: HttpResponse("later", status=429)})
        get = ok

    serve_urls(path("", Page.as_view()), middleware=[])
    assert get("/").content == b"later"


class Mine:
    """A middleware of a project."""

    def __init__(self, get_response):
        self.get_response = get_response

    @throttled("1/min")
    def __call__(self, request):
        return self.get_response(request)


def test_a_middleware_of_the_project_can_be_decorated(get, serve_urls):
    ours = "traffik_django.middleware.ThrottleMiddleware"
    serve_urls(path("", ok), middleware=[ours, f"{__name__}.Mine"])
    answers = [get("/") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert [f"{__name__}.Mine" in answer.headers["RateLimit"] for answer in answers] == [True, True]
