"""What the rows of docs/migrate/drf.md do: a probe for the value of each, and its result."""

from __future__ import annotations

from types import SimpleNamespace

from django.test import override_settings
from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from tests.docs.migrations.probes import ALL, hits
from traffik_django import throttles
from traffik_django.identities import ip


def request_from(user=None, **headers):
    request = APIRequestFactory(REMOTE_ADDR="10.0.0.1").get("/orders", headers=headers)
    if user is not None:
        force_authenticate(request, SimpleNamespace(pk=user, is_authenticated=True))
    return request


def ask(view, *requests):
    """How many of twelve requests of each kind a view answers."""
    return [sum(view(request_from(**request)).status_code == 200 for _ in range(ALL)) for request in requests or ({},)]


def limited(throttle, *requests, scope=None):
    class View(APIView):
        throttle_classes = (throttle,)
        throttle_scope = scope

        def get(self, request):
            return Response([])

    return ask(View.as_view(), *requests)


def decorated(decorator):
    return ask(api_view(["GET"])(decorator(lambda request: Response([]))), {"user": 7})


def client_with(traffik):
    with override_settings(TRAFFIK=traffik):
        return ip(request_from(x_forwarded_for="192.0.2.9, 198.51.100.7"))


def admitted_with(traffik):
    with override_settings(TRAFFIK={"THROTTLES": {"any": "9/min"}, **traffik}):
        return hits(throttles["any"], request_from)


def wait(method):
    throttle = method.__self__
    request = APIView().initialize_request(request_from(user=8))
    return [throttle.allow_request(request, None) for _ in range(4)], round(method())


CHECKS = {
    "UserRateThrottle": (lambda made: made().get_rate("user"), "1000/day"),
    "AnonRateThrottle": (lambda made: limited(made, {"user": 1}, {}), [ALL, 5]),
    "ScopedRateThrottle, with throttle_scope in the view": (lambda made: limited(made, scope="uploads"), [2]),
    "a subclass with a scope": (lambda made: limited(made, {"user": 1}, {"user": 2}, {}), [3, 3, 3]),
    "SimpleRateThrottle with get_cache_key": (lambda made: limited(made, {"x_api_key": "k"}, {}), [4, ALL]),
    "@throttle_classes([…])": (decorated, [3]),
    '"100/day"': (str, "100/day"),
    "NUM_PROXIES = 1": (client_with, "198.51.100.7"),
    'cache = caches["default"]': (admitted_with, 9),
    "wait()": (wait, ([True, True, True, False], 60)),
}
