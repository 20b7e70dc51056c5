"""What the rows of docs/migrate/flask-limiter.md do: a probe for the value of each, and its result."""

from __future__ import annotations

from wsgiref.util import setup_testing_defaults

import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.test import Client

from tests.docs.migrations.probes import ALL, Doing, around, hits
from tests.docs.migrations.stores import AWAY, admitted, busiest, counted, degraded, namespace
from traffik import Throttled
from traffik_wsgi import WSGIRequest


def wsgi_request(method="GET", path="/", **environ):
    request = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": "192.0.2.1", **environ}
    setup_testing_defaults(request)
    return WSGIRequest(request)


def asked(limit, *requests):
    """How many of twelve requests of each kind a throttle admits."""
    return [hits(limit, wsgi_request, **request) for request in requests or ({},)]


def served(app):
    client = Client(app)
    return sum(client.get("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code != 429 for _ in range(ALL))


def in_view(hit, names):
    """Whether each of two hits in a view is admitted."""
    results = []
    for _ in range(2):
        with names["app"].test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.7"}):
            try:
                results.append(bool(hit()))
            except Throttled:
                results.append(False)
    names["backend"].reset_sync()
    return results


def in_request(read, names):
    with names["app"].test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.7"}):
        return read().hits_remaining


def refused(limit):
    with pytest.raises(HTTPException) as caught:
        asked(limit)
    return caught.value.code, caught.value.description


def given_back(reserve):
    """Whether a second reservation is admitted after the first was released."""
    for _ in range(2):
        with reserve(wsgi_request()) as reservation:
            reservation.release()
    return bool(reservation)


def wait(limit):
    asked(limit)
    return round(limit.sync.stat(wsgi_request()).wait_ms / 1000)


def policy(app):
    return Client(app).get("/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).headers["RateLimit-Policy"]


def servers(store):
    return repr(store).removeprefix("<RedisBackend ").partition(" namespace")[0]


LIMITS = {
    'parse("10/minute")': (str, "10/min"),
    'parse("1 per 5 minutes")': (str, "1/5min"),
    'parse("5/month")': (lambda made: made.period, 30 * 86400 * 1_000_000),
    'parse_many("1/second, 10/minute")': (admitted, 1),
    'limiter.hit(item, "user", "42", cost=2)': (bool, True),
    'limiter.test(item, "foo")': (bool, False),
    'limiter.get_window_stats(item, "foo")': (lambda made: made.hits_remaining, 0),
    'limiter.clear(item, "foo")': (
        Doing(lambda make, names: [make(), bool(names["one_per_minute"].sync.hit("foo"))]),
        [None, True],
    ),
    "storage.reset()": (Doing(around), [9, 9]),
    "FixedWindowRateLimiter": (lambda made: busiest(made.strategy), 9),
    "MovingWindowRateLimiter": (lambda made: busiest(made.strategy), 5),
    "SlidingWindowCounterRateLimiter": (admitted, 5),
    'storage_from_string("redis://…")': (counted, [9, 0]),
    'storage_from_string("async+redis://…")': (counted, [9, 0]),
    'storage_from_string("redis+cluster://n1:7000")': (servers, "cluster n1:7000"),
    'storage_from_string("redis+sentinel://s1:26379/main")': (servers, "sentinel s1:26379 main"),
}

FLASK_LIMITER = {
    'default_limits=["9 per day"]': (served, 9),
    'application_limits=["9 per day"]': (served, 9),
    '@limiter.limit("1 per day")': (Doing(in_view), [True, False]),
    "two decorators on one view": (Doing(in_view), [True, False]),
    '@limiter.shared_limit("9/min", scope="api")': (lambda made: asked(made, {"path": "/a"}, {"path": "/b"}), [9, 0]),
    "@limiter.exempt": (lambda made: asked(made, {"path": "/health"}, {}), [ALL, 9]),
    'limit(…, methods=["POST"])': (lambda made: asked(made, {"method": "POST"}, {}), [9, ALL]),
    "limit(…, per_method=True)": (lambda made: asked(made, {"method": "POST"}, {}), [ALL, 9]),
    "limit(…, exempt_when=f), @limiter.request_filter": (lambda made: asked(made, {"HTTP_X_JOB": "1"}, {}), [ALL, 9]),
    "limit(…, key_func=f)": (lambda made: asked(made, {"REMOTE_USER": "ada"}, {"REMOTE_USER": "bob"}), [9, 9]),
    "limit(…, cost=f)": (asked, [3]),
    "limit(…, deduct_when=f)": (given_back, True),
    "limit(lambda: rate)": (asked, [9]),
    'limit(…, error_message="…"), on_breach=f': (refused, (429, "Slow down")),
    'meta_limits=["3/hour"]': (wait, 3600),
    "limiter.current_limit": (Doing(in_request), 1),
    "limiter.reset()": (Doing(around), [9, 9]),
    "RATELIMIT_ENABLED = False": (Doing(around), [9, ALL]),
    "RATELIMIT_HEADERS_ENABLED = True": (policy, '"shown";q=9;w=60'),
    'RATELIMIT_STORAGE_URI = "redis://…"': (counted, [9, 0]),
    'RATELIMIT_KEY_PREFIX = "shop"': (namespace, "shop"),
    "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED = True": (degraded, "fallback", AWAY),
    "RATELIMIT_SWALLOW_ERRORS = True": (degraded, "allow", AWAY),
}

CHECKS = LIMITS | FLASK_LIMITER
