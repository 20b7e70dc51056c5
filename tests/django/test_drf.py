"""Django REST framework: our throttle classes, and hits and decorators in its views."""

import asyncio

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import api_view, throttle_classes
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from traffik import DENIED, DuplicateUidError, HTTPThrottle, RateError
from traffik_django import throttled
from traffik_django.drf import AnonRateThrottle, RateThrottle, ScopedRateThrottle, UserRateThrottle

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def client():
    return APIClient()


@pytest.fixture(params=["wsgi", "asgi"])
def get(request, client, async_client):
    """The status of a path under WSGI, and under ASGI."""
    if request.param == "wsgi":
        return lambda path: client.get(path).status_code
    return lambda path: asyncio.run(async_client.get(path)).status_code


class Dear(RateThrottle):
    rate = "2/min"


class Strict(RateThrottle):
    rate = "1/min"


class Slow(RateThrottle):
    rate = "1/hour"


class Denying(RateThrottle):
    rate = "9/min"
    identify = staticmethod(lambda request: DENIED)


def view_of(*throttles, scope=None):
    class View(APIView):
        throttle_classes = throttles
        throttle_scope = scope

        def get(self, request, pk=None):
            return Response("ok")

    return View.as_view()


def rates(**rates):
    return {"REST_FRAMEWORK": {"DEFAULT_THROTTLE_RATES": rates}}


def statuses(client, *paths):
    return [client.get(path).status_code for path in paths]


class TestAThrottleClass:
    def test_it_refuses_as_drf_does(self, client, serve_urls):
        serve_urls(path("", view_of(Dear)), middleware=[])
        assert statuses(client, "/", "/") == [200, 200]
        response = client.get("/")
        assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
        assert response.json() == {"detail": "Request was throttled. Expected available in 60 seconds."}

    def test_the_middleware_adds_its_header_fields(self, client, serve_urls, configured):
        serve_urls(path("", view_of(ScopedRateThrottle, scope="a")), **rates(a="1/min"))
        first, second = client.get("/"), client.get("/")
        assert (first.status_code, first.headers["RateLimit"]) == (200, '"drf:a";r=0;t=60')
        assert (second.status_code, second.headers["RateLimit"]) == (429, '"drf:a";r=0;t=60')

    def test_its_wait_is_exact(self, clock, uid, rf_request):
        throttle = type(uid, (RateThrottle,), {"rate": "1/min"})()
        assert (throttle.wait(), throttle.allow_request(rf_request, None)) == (None, True)
        clock.advance(microseconds=1_234)
        assert (throttle.allow_request(rf_request, None), throttle.wait()) == (False, 59.998766)

    def test_a_cost_above_the_capacity_has_no_wait(self, uid, rf_request):
        throttle = type(uid, (RateThrottle,), {"rate": "0/min"})()
        assert (throttle.allow_request(rf_request, None), throttle.wait()) == (False, None)

    def test_jitter_is_added_to_the_wait(self, client, serve_urls):
        serve_urls(path("", view_of(Dear)), middleware=[], TRAFFIK={"RESPONSES": {"jitter": 3600}})
        waits = {client.get("/").headers.get("Retry-After") for _ in range(5)} - {None}
        assert len(waits) == 1
        assert 60 < int(waits.pop()) <= 3660

    def test_throttles_of_one_scope_share_a_quota(self, client, serve_urls):
        views = [view_of(ScopedRateThrottle, scope=scope) for scope in ("up", "up", "down", None)]
        serve_urls(*(path(f"{place}", view) for place, view in enumerate(views)), **rates(up="2/m", down="1/day"))
        assert statuses(client, "/0", "/1", "/0", "/1", "/2", "/2", "/3") == [200, 200, 429, 429, 200, 429, 200]

    @pytest.mark.parametrize("base", [UserRateThrottle, AnonRateThrottle, Dear])
    def test_a_subclass_with_a_rate_and_no_scope_has_its_own_quota(self, base, client, serve_urls):
        own = type("Own", (base,), {"rate": "2/min"})
        serve_urls(path("", view_of(own, base)), middleware=[], **rates(user="9/min", anon="9/min"))
        left = [client.get("/").status_code for _ in range(3)]
        assert left == [200, 200, 429]

    def test_two_rates_for_one_scope_are_an_error(self, client, serve_urls):
        own, base = (type("Own", (UserRateThrottle,), {"scope": "user", **more}) for more in ({"rate": "2/min"}, {}))
        serve_urls(path("", view_of(own, base)), **rates(user="9/min"))
        with pytest.raises(DuplicateUidError, match="'drf:user' has two different definitions"):
            statuses(client, "/", "/")

    def test_a_subclass_without_changes_shares_the_quota(self, client, serve_urls):
        same = type("Same", (UserRateThrottle,), {})
        serve_urls(path("a", view_of(same)), path("b", view_of(UserRateThrottle)), **rates(user="2/min"))
        assert statuses(client, "/a", "/b", "/a") == [200, 200, 429]

    def test_it_counts_nothing_after_an_earlier_throttle_refused(self, get, serve_urls):
        serve_urls(path("", view_of(Strict, Dear)), path("dear", view_of(Dear)))
        assert [get(place) for place in ("/", "/", "/", "/dear", "/dear")] == [200, 429, 429, 200, 429]

    def test_it_has_counted_if_a_later_throttle_refuses(self, get, serve_urls):
        serve_urls(path("", view_of(Dear, Strict)), path("dear", view_of(Dear)))
        assert [get(place) for place in ("/", "/", "/dear")] == [200, 429, 429]

    def test_it_adds_its_wait_if_an_earlier_throttle_refused(self, client, serve_urls):
        serve_urls(path("", view_of(Strict, Slow)), middleware=[])
        assert [client.get("/").headers.get("Retry-After") for _ in range(2)] == [None, "3600"]

    def test_a_rate_of_none_switches_it_off(self, client, serve_urls):
        serve_urls(path("", view_of(UserRateThrottle)), **rates(user=None))
        assert statuses(client, "/", "/") == [200, 200]

    def test_it_uses_rates_that_a_test_overrides(self, client, serve_urls):
        for limit in (1, 2):
            serve_urls(path("", view_of(UserRateThrottle)), **rates(user=f"{limit}/hour"), TRAFFIK={})
            assert statuses(client, "/", "/", "/").count(200) == limit

    def test_users_have_separate_quotas_and_may_be_exempted(self, serve_urls):
        views = path("u", view_of(UserRateThrottle)), path("a", view_of(AnonRateThrottle))
        serve_urls(*views, **rates(user="1/min", anon="1/min"))
        for pk in (1, 2):
            client = APIClient()
            client.force_authenticate(User(pk=pk))
            assert statuses(client, "/u", "/u", "/a", "/a") == [200, 429, 200, 200]
        assert statuses(APIClient(), "/a", "/a", "/u") == [200, 429, 200]

    def test_a_scope_without_a_rate_is_an_error(self, client, serve_urls):
        serve_urls(path("", view_of(ScopedRateThrottle, scope="missing")), **rates())
        with pytest.raises(ImproperlyConfigured, match="no rate for the scope 'missing': add one such as"):
            client.get("/")

    def test_a_class_with_a_bad_rate_is_an_error(self):
        with pytest.raises(RateError, match="there is no slash or per"):
            type("Bad", (UserRateThrottle,), {"rate": "5 a day"})

    def test_it_gives_a_503_if_the_store_does_not_answer(self, client, serve_urls, backend):
        store = {"BACKEND": "traffik.backends.redis.RedisBackend", "LOCATION": "redis://127.0.0.1:1"}
        away = {"STORE": {**store, "OPTIONS": {"on_error": "throttle"}}}
        serve_urls(path("", view_of(ScopedRateThrottle, scope="away")), **rates(away="5/s"), TRAFFIK=away)
        response = client.get("/")
        assert (response.status_code, response.json()["detail"][:31]) == (503, "The rate limiter is unavailable")

    def test_a_denied_client_gets_a_403(self, client, serve_urls):
        serve_urls(path("", view_of(Denying)))
        response = client.get("/")
        assert (response.status_code, response.json()) == (403, {"detail": "This client is not served."})

    def test_it_works_on_functions_and_viewsets(self, client, serve_urls):
        @api_view(["GET"])
        @throttle_classes([type("OfFunction", (RateThrottle,), {"rate": "1/min"})])
        def function(request):
            return Response("ok")

        class Things(ViewSet):
            throttle_classes = (type("OfSet", (RateThrottle,), {"rate": "1/min"}),)

            def list(self, request):
                return Response([])

        serve_urls(path("f", function), path("s", Things.as_view({"get": "list"})))
        assert statuses(client, "/f", "/f", "/s", "/s") == [200, 429, 200, 429]


class TestAHitInAView:
    def test_without_the_middleware_it_is_refused_as_drf_does(self, uid, client, serve_urls):
        throttle = HTTPThrottle(uid, "1/min")

        @api_view(["GET"])
        def view(request):
            assert throttle.sync.hit(request) is request
            return Response("ok")

        serve_urls(path("", view), middleware=[])
        assert statuses(client, "/", "/") == [200, 429]
        assert client.get("/").json() == {"detail": "Too many requests. Retry in 60 seconds."}

    def test_it_shares_the_quota_with_other_views(self, uid, client, async_client, serve_urls):
        throttle = HTTPThrottle(uid, "2/min")

        async def plain(request):
            await throttle.hit(request)
            return HttpResponse()

        api = api_view(["GET"])(lambda request: Response(bool(throttle.sync(request))))
        serve_urls(path("a", api), path("b", plain))
        assert statuses(client, "/a") == [200]
        assert [asyncio.run(async_client.get("/b")).status_code for _ in range(2)] == [200, 429]

    def test_the_decorator_works_on_a_method(self, client, serve_urls):
        class Things(ViewSet):
            @throttled("1/min")
            def list(self, request):
                return Response([])

        serve_urls(path("", Things.as_view({"get": "list"})), middleware=[])
        assert statuses(client, "/", "/") == [200, 429]

    def test_it_is_not_counted_again_after_the_middleware(self, client, serve_urls):
        class Things(ViewSet):
            @throttled("things")
            def list(self, request):
                return Response([])

        things = {"THROTTLES": {"things": "2/min"}, "URLS": {"*": "things"}}
        serve_urls(path("", Things.as_view({"get": "list"})), TRAFFIK=things)
        assert statuses(client, "/", "/", "/") == [200, 200, 429]


@pytest.fixture
def rf_request():
    from rest_framework.request import Request
    from rest_framework.test import APIRequestFactory

    return Request(APIRequestFactory().get("/"))
