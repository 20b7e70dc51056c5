"""What the rows of docs/migrate/traffik-1.md do: a probe for the value of each, and its result."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI

from tests.docs.migrations.probes import (
    ALL,
    Doing,
    client,
    each,
    echoed,
    fields,
    hits,
    limited,
    refused,
    served,
    starlette_request,
)
from tests.docs.migrations.stores import AWAY, busiest, counted, degraded, namespace
from traffik import HTTPThrottle, Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import Throttled


def sent(call, cost):
    """What a call with a cost returns, and the request that it got."""
    request = starlette_request(peer="192.0.2.9")
    return asyncio.run(call(request, cost=cost)), request


def left(stat):
    return asyncio.run(stat(starlette_request(peer="192.0.2.8"))).hits_remaining


def returned(hit):
    found, request = sent(hit, 3)
    return found is request


def dependent(depends):
    app = FastAPI(dependencies=[depends])
    app.add_api_route("/", lambda: "served")
    return served(app)


def seconds(get_wait):
    request, throttle = starlette_request(), HTTPThrottle("none", "1/min")
    throttle.sync.hit(request)
    with pytest.raises(Throttled):
        throttle.sync.hit(request)
    return round(get_wait(request) / 1000)


def given_back(reserve):
    """How many units are left after a block that has reserved 9 and raises."""

    async def ask():
        request = starlette_request(peer="192.0.2.7")
        with pytest.raises(ValueError, match="broken"):
            async with reserve(request, 9):
                raise ValueError("broken")
        return (await reserve.__self__.stat(request)).hits_remaining

    return asyncio.run(ask())


def scoped(limit):
    """How many of twelve requests are admitted, and what is left in another scope."""
    return [hits(limit), limit.sync.stat(starlette_request(), {"scope": "y"}).hits_remaining]


def updated(update, names):
    update()
    return str(names["throttle"].rate)


def disabled(disable, names):
    throttle = names["throttle"]
    disable()
    found = sum(throttle.sync.decide(starlette_request(), cost=1000).allowed for _ in range(ALL))
    throttle.enable()
    return found


def waited(wait):
    """The units that a wait has taken."""
    request, throttle = starlette_request(peer="192.0.2.6"), wait.__self__
    before = throttle.sync.stat(request).hits_remaining
    asyncio.run(wait(request, timeout=0))
    return before - throttle.sync.stat(request).hits_remaining


def overdrawn(strategy):
    """Which hits of a limit of ``5/min`` are admitted: the second one overdraws it by 2."""
    with InMemoryBackend() as store:
        limiter = Limiter("overdrawn", "5/min", strategy=strategy, backend=store).sync
        return [bool(limiter.hit("ada", cost)) for cost in (4, 3, 1)]


THROTTLES = {
    "HTTPThrottle(uid, rate, identifier=f)": (lambda made: each(made, {"x_user": "ada"}, {"x_user": "bob"}), [9, 9]),
    "Depends(throttle)": (dependent, 9),
    "await throttle.hit(request, cost=3)": (returned, True),
    "await throttle.check(request, cost=3)": (lambda made: bool(sent(made, 98)[0]), False),
    "await throttle.stat(request)": (left, 100),
    "is_throttled(request), get_wait(request)": (seconds, 60),
    "async with throttle.quota(request) as quota": (given_back, 100),
    "handle_throttled=f": (refused, (429, "Slow down")),
    "skip_handler=True": (lambda made: sent(made, 98)[0].allowed, False),
    "cost=f, rate=f": (hits, 4),
    'context={"scope": "x"}': (scoped, [9, 9]),
    'rules=[Rule(path="/api/**")]': (lambda made: each(made, {"path": "/api/a"}, {"path": "/b"}), [9, ALL]),
    "Rule(predicate=f)": (lambda made: each(made, {"x_job": "1"}, {}), [9, ALL]),
    'Bypass(path="/health")': (lambda made: each(made, {"path": "/health"}, {}), [ALL, 9]),
    'await throttle.update_rate("200/min")': (Doing(updated), "200/min"),
    "await throttle.disable()": (Doing(disabled), ALL),
    "headers=DEFAULT_HEADERS_ALWAYS": (fields, ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]),
    "min_wait_period=1000": (lambda made: made.responses.jitter, 1),
    "@throttled(throttle)": (limited, [9]),
    'MiddlewareThrottle(throttle, path="/api/")': (
        lambda made: [served(made, path="/api/a"), served(made, path="/data")],
        [9, ALL],
    ),
    "WebSocketThrottle(uid, rate)": (echoed, ["a", "b"]),
    "get_remote_address(connection, trusted_proxies=…)": (
        lambda made: client(made, peer="10.0.0.1", x_forwarded_for="198.51.100.7"),
        "198.51.100.7",
    ),
}

STORES = {
    'InMemoryBackend(namespace="shop")': (namespace, "shop"),
    'RedisBackend("redis://…", namespace="shop")': (namespace, "shop"),
    "MultiProcessInMemoryBackend()": (counted, [9, 0]),
    "MemcachedBackend(…)": (counted, [9, 0]),
    'on_error="allow"': (degraded, "allow", AWAY),
    'on_error="throttle", the default': (degraded, "unavailable", AWAY),
    "on_error=failover(InMemoryBackend())": (degraded, "fallback", AWAY),
    "FixedWindowStrategy(), the default": (busiest, 9),
    "SlidingWindowLogStrategy()": (busiest, 5),
    "SlidingWindowCounterStrategy()": (busiest, 4),
    "TokenBucketStrategy(burst_size=9)": (busiest, 9),
    "TokenBucketWithDebtStrategy(max_debt=2)": (overdrawn, [True, True, False]),
    "LeakyBucketStrategy()": (busiest, 5),
    "LeakyBucketWithQueueStrategy()": (waited, 1),
    "GCRAStrategy()": (busiest, 5),
    "TieredRateStrategy()": (
        lambda made: each(made, {"x_plan": "free"}, {"x_plan": "pro", "peer": "192.0.2.2"}),
        [2, 9],
    ),
}

CHECKS = THROTTLES | STORES
