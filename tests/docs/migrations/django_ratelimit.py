"""What the rows of docs/migrate/django-ratelimit.md do: a probe for the value of each, and its result."""

from __future__ import annotations

from types import SimpleNamespace

from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.views import View

from tests.docs.migrations.probes import ALL, Doing, around
from tests.docs.migrations.stores import AWAY
from traffik import is_throttled
from traffik_django import throttles
from traffik_django.identities import ip

ADDRESS = "10.0.0.1"


def request_from(user=None, method="GET", query="", peer=ADDRESS, **headers):
    request = RequestFactory(REMOTE_ADDR=peer).generic(method, f"/?{query}", headers=headers)
    request.user = SimpleNamespace(pk=user, is_authenticated=user is not None)
    return request


def ask(view, *requests):
    """How many of twelve requests of each kind a view answers with 200."""
    return [sum(view(request_from(**request)).status_code == 200 for _ in range(ALL)) for request in requests or ({},)]


def limited(decorator, *requests):
    return ask(decorator(lambda request: HttpResponse("served")), *requests)


def shared(decorator):
    return limited(decorator) + limited(decorator)


def dispatched(decorator):
    @decorator
    class Page(View):
        def get(self, request):
            return HttpResponse("served")

    return ask(Page.as_view())


def told(decorator):
    """How many of twelve requests reach the view and find that they are throttled."""
    view = decorator(lambda request: HttpResponse(str(is_throttled(request))))
    return sum(view(request_from()).content == b"True" for _ in range(ALL))


def last_answer(decorator):
    view = decorator(lambda request: HttpResponse("served"))
    last = [view(request_from()) for _ in range(ALL)][-1]
    return last.status_code, last.content


def admitted(method, peer):
    return sum(bool(method(request_from(method="POST", peer=peer))) for _ in range(ALL))


def left(stat):
    return stat(request_from(method="POST", peer="192.0.2.3")).hits_remaining


def raised(error):
    """Whether a hit in a view that is not decorated raises the error."""
    try:
        with override_settings(TRAFFIK={"THROTTLES": {"none": "0/min"}}):
            throttles["none"].sync.hit(request_from())
    except error:
        return True
    return False


def client_with(traffik, **request):
    with override_settings(TRAFFIK=traffik):
        return ip(request_from(**request))


def in_store(traffik, read):
    """What a throttle in the store of the settings does. Each use of the settings makes the store anew."""
    with override_settings(TRAFFIK={"THROTTLES": {"any": "9/min"}, **traffik}):
        return read(throttles["any"].sync)


def kept(traffik):
    return [in_store(traffik, lambda limit: sum(bool(limit.decide(request_from())) for _ in range(ALL))) for _ in "ab"]


def without_redis(traffik):
    cache = {**settings.CACHES["default"], "LOCATION": AWAY}
    with override_settings(CACHES={"default": cache}):
        return in_store(traffik, lambda limit: limit.decide(request_from()).degraded)


LIMITS = {
    '@ratelimit(key="ip", rate="5/m")': (lambda made: limited(made, {}, {"peer": "10.0.0.2"}), [5, 5]),
    'rate="100/10m"': (str, "100/10min"),
    'rate="0/s"': (limited, [0]),
    "rate=None": (limited, [ALL]),
    "rate=f": (limited, [5]),
    'key="user_or_ip"': (lambda made: limited(made, {"user": 1}, {"user": 2}, {}), [5, 5, 5]),
    'key="user"': (lambda made: limited(made, {"peer": "10.0.0.1"}, {"peer": "10.0.0.2"}), [5, 5]),
    'key="header:x-tenant"': (lambda made: limited(made, {"x_tenant": "a"}, {"x_tenant": "b"}), [5, 5]),
    'key="get:q", key="post:q", key=f': (lambda made: limited(made, {"query": "q=a"}, {"query": "q=b"}), [5, 5]),
    'method="POST"': (lambda made: limited(made, {"method": "POST"}, {}), [5, ALL]),
    "method=UNSAFE": (lambda made: limited(made, {"method": "PATCH"}, {}), [5, ALL]),
    'group="a"': (shared, [5, 0]),
    "two decorators on one view": (limited, [5]),
    'method_decorator(ratelimit(…), name="dispatch")': (dispatched, [5]),
    "block=False with request.limited": (told, ALL - 5),
    "is_ratelimited(…, increment=True)": (lambda made: admitted(made, "192.0.2.1"), 5),
    "is_ratelimited(…, increment=False)": (lambda made: admitted(made, "192.0.2.2"), ALL),
    "get_usage(…)": (left, 5),
}

SETTINGS = {
    "except Ratelimited": (raised, True),
    'RATELIMIT_VIEW = "app.views.limited"': (last_answer, (403, b"Slow down")),
    "RATELIMIT_ENABLE = False": (Doing(around), [9, ALL]),
    'RATELIMIT_IP_META_KEY = "HTTP_X_REAL_IP"': (
        lambda made: client_with(made, peer="10.0.0.1", x_real_ip="198.51.100.7"),
        "198.51.100.7",
    ),
    "RATELIMIT_IPV6_MASK = 56": (lambda made: client_with(made, peer="2001:db8:0:1ff::1"), "2001:db8:0:100::/56"),
    'RATELIMIT_USE_CACHE = "default"': (kept, [9, 0]),
    'RATELIMIT_CACHE_PREFIX = "shop:"': (
        lambda made: in_store(made, lambda limit: limit.stat(request_from()).key.partition(":")[0]),
        "shop",
    ),
    "RATELIMIT_FAIL_OPEN = True": (without_redis, "allow"),
}

CHECKS = LIMITS | SETTINGS
