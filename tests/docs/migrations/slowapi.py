"""What the rows of docs/migrate/slowapi.md do: a probe for the value of each, and its result."""

from __future__ import annotations

import asyncio

from tests.docs.migrations.probes import (
    ALL,
    Doing,
    answers,
    around,
    client,
    decorated,
    fields,
    hits,
    limited,
    served,
    starlette_request,
)
from tests.docs.migrations.stores import AWAY, busiest, counted, degraded, namespace

FORWARDED = {"peer": "10.0.0.1", "x_forwarded_for": "198.51.100.7"}


def shared(decorator):
    return limited(decorator) + limited(decorator)


def last_answer(app):
    last = answers(app)[-1]
    return last.status_code, last.text


def media_type(register, names):
    """That of a refusal in an endpoint, once the handler of errors is registered."""
    names["app"].middleware_stack = None  # other rows have started the application
    register()
    return answers(names["app"], path="/home")[-1].headers["Content-Type"]


def left(stat):
    return asyncio.run(stat(starlette_request())).hits_remaining


CHECKS = {
    '@limiter.limit("5/minute")': (limited, [5]),
    '@limiter.limit("5 per minute")': (limited, [5]),
    '@limiter.limit("5/minute, 9/hour")': (limited, [5]),
    '@limiter.limit("5/month")': (limited, [5]),
    "two decorators on one endpoint": (limited, [5]),
    '@limiter.shared_limit("9/hour", scope="api")': (shared, [9, 0]),
    "limit(…, key_func=f)": (lambda made: limited(made, {"x_user": "ada"}, {"x_user": "bob"}), [5, 5]),
    "limit(…, exempt_when=f)": (lambda made: limited(made, {"x_job": "1"}, {}), [ALL, 5]),
    "limit(…, cost=f)": (limited, [2]),
    "limit(f), a dynamic limit": (limited, [5]),
    'limit(…, methods=["POST"])': (lambda made: limited(made, {"method": "POST"}, {}), [5, ALL]),
    "limit(…, per_method=True)": (lambda made: limited(made, {"method": "POST"}, {}), [ALL, 5]),
    'limit(…, error_message="…")': (lambda made: last_answer(decorated(made)), (429, "Slow down")),
    'application_limits=["9/hour"]': (served, 9),
    'default_limits=["9/hour"]': (served, 9),
    "@limiter.exempt": (lambda made: [hits(made, path="/health"), hits(made)], [ALL, 9]),
    "get_remote_address": (lambda made: client(made, x_forwarded_for="198.51.100.7"), "192.0.2.1"),
    "get_ipaddr": (lambda made: client(made, **FORWARDED), "198.51.100.7"),
    "headers_enabled=True": (fields, ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]),
    "app.add_exception_handler(RateLimitExceeded, f)": (Doing(media_type), "application/problem+json"),
    "Limiter(enabled=False)": (Doing(around), [9, ALL]),
    "limiter.reset()": (Doing(around), [9, 9]),
    "request.state.view_rate_limit": (left, 9),
    'strategy="fixed-window", the default': (busiest, 9),
    'strategy="moving-window"': (busiest, 5),
    'storage_uri="memory://"': (counted, [9, 0]),
    'storage_uri="redis://…"': (counted, [9, 0]),
    'key_prefix="shop"': (namespace, "shop"),
    "in_memory_fallback_enabled=True": (degraded, "fallback", AWAY),
    "swallow_errors=True": (degraded, "allow", AWAY),
}
