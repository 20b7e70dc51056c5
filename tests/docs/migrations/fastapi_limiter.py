"""What the rows of docs/migrate/fastapi-limiter.md do: a probe for the value of each, and its result."""

import asyncio

from tests.docs.migrations.probes import ALL, client, each, echoed, hits, refused, starlette_request
from tests.docs.migrations.stores import admitted, namespace
from traffik import WaitTimeoutError


def rate(limit):
    return str(limit.sync.stat(starlette_request()).rate)


def waits(wait):
    """Whether each of three waits is admitted at once."""
    results = []
    for _ in range(3):
        try:
            asyncio.run(wait(starlette_request(peer="192.0.2.3"), timeout=0))
        except WaitTimeoutError:
            results.append(False)
        else:
            results.append(True)
    return results


CHECKS = {
    "RateLimiter(times=2, seconds=5)": (rate, "2/5s"),
    "Rate(2, Duration.SECOND * 5)": (lambda made: each(made, {}, {"peer": "192.0.2.2"}), [2, 2]),
    "Limiter([Rate(2, 1000), Rate(9, 60000)])": (hits, 2),
    "RateLimiter(times=1, milliseconds=200)": (rate, "1/200ms"),
    "RateLimiter(times=3, minutes=1, seconds=30)": (rate, "3/90s"),
    "two Depends(RateLimiter(…))": (hits, 2),
    "RateLimiter(identifier=f)": (lambda made: each(made, {"x_user": "ada"}, {"x_user": "bob"}), [2, 2]),
    "RateLimiter(callback=f)": (refused, (429, "Slow down")),
    "@skip_limiter": (lambda made: each(made, {"path": "/health"}, {}), [ALL, 2]),
    "RateLimiter(limiter, blocking=True)": (waits, [True, True, False]),
    'await limiter.try_acquire_async("ada", 2)': (admitted, 2),
    'FastAPILimiter.init(redis, prefix="shop")': (namespace, "shop"),
    "FastAPILimiter.init(redis, identifier=f)": (
        lambda made: client(made, peer="10.0.0.1", x_forwarded_for="198.51.100.7"),
        "198.51.100.7",
    ),
    "FastAPILimiter.close()": (lambda made: made.__name__, "lifespan"),
    "WebSocketRateLimiter(times=2, seconds=5)": (echoed, ["a", "b"]),
    'await ratelimit(websocket, context_key="x")': (echoed, ["a", "b"]),
}
