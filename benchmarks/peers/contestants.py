"""The limiters that are compared, each used as its own documentation says.

Each is a function that returns a hit for a limit a minute: ``await hit(key)`` returns whether it is admitted, and the
seconds to wait, None where the limiter does not say. With a URL it counts in that Redis, or else in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = ["CONTESTANTS", "Answer", "Contestant", "Hit"]

Answer: TypeAlias = tuple[bool, float | None]
Hit: TypeAlias = Callable[[str], Awaitable[Answer]]


class Contestant(NamedTuple):
    """One limiter with one algorithm.

    Attributes:
        name: of the project.
        algorithm: the one that is used, in its project's words.
        distribution: its name on the package index.
        make: ``make(limit, url)`` returns a hit. It raises NotImplementedError, with the reason, where there is none.
    """

    name: str
    algorithm: str
    distribution: str
    make: Callable[[int, str | None], Awaitable[Hit]]


def traffik(strategy: str) -> Callable[[int, str | None], Awaitable[Hit]]:
    async def make(limit: int, url: str | None) -> Hit:
        import traffik
        from traffik.backends.inmemory import InMemoryBackend
        from traffik.backends.redis import RedisBackend

        store: Any = InMemoryBackend() if url is None else RedisBackend(url, deadline=30, on_error="raise")
        await store.open()
        limiter = traffik.Limiter("peers", f"{limit}/min", strategy=getattr(traffik, strategy)(), backend=store)

        async def hit(key: str) -> Answer:
            decision = await limiter.hit(key)
            return decision.allowed, decision.retry_after / 1e6

        return hit

    return make


def limits(strategy: str) -> Callable[[int, str | None], Awaitable[Hit]]:
    """https://limits.readthedocs.io/en/stable/quickstart.html and async.html"""

    async def make(limit: int, url: str | None) -> Hit:
        import time

        from limits import RateLimitItemPerMinute
        from limits.aio import storage, strategies

        kept: Any = storage.MemoryStorage()
        if url is not None:
            kept = storage.RedisStorage(f"async+{url}", implementation="redispy")
        limiter, item = getattr(strategies, strategy)(kept), RateLimitItemPerMinute(limit)

        async def hit(key: str) -> Answer:
            if await limiter.hit(item, key):
                return True, 0.0
            return False, max(0.0, (await limiter.get_window_stats(item, key)).reset_time - time.time())

        return hit

    return make


def throttled(using: str) -> Callable[[int, str | None], Awaitable[Hit]]:
    """The README of throttled-py."""

    async def make(limit: int, url: str | None) -> Hit:
        from throttled.asyncio import MemoryStore, RedisStore, Throttled

        store: Any = MemoryStore() if url is None else RedisStore(server=url)
        throttle = Throttled(using=using, quota=f"{limit}/m burst {limit}", store=store)

        async def hit(key: str) -> Answer:
            result = await throttle.limit(key)
            return not result.limited, result.state.retry_after

        return hit

    return make


async def pyrate(limit: int, url: str | None) -> Hit:
    """https://pyratelimiter.readthedocs.io: a bucket for all keys is its quick start; one for each key is a factory."""
    from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate, RedisBucket

    if url is None:
        limiter = Limiter(InMemoryBucket([Rate(limit, Duration.MINUTE)]))
    else:
        from redis.asyncio import Redis

        bucket = await RedisBucket.init([Rate(limit, Duration.MINUTE)], Redis.from_url(url), "peers")
        limiter = Limiter(bucket)

    async def hit(key: str) -> Answer:
        return bool(await limiter.try_acquire_async(key, blocking=False)), None

    return hit


async def aiolimiter(limit: int, url: str | None) -> Hit:
    """https://aiolimiter.readthedocs.io: it waits; to ask without waiting there is `has_capacity`."""
    if url is not None:
        raise NotImplementedError("it counts in one process only")
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(limit, 60)

    async def hit(key: str) -> Answer:
        if not limiter.has_capacity():
            return False, None
        await limiter.acquire()
        return True, 0.0

    return hit


async def asgi_ratelimit(limit: int, url: str | None) -> Hit:
    """The README of asgi-ratelimit: a backend decides on the rules of a path."""
    from ratelimit import Rule
    from ratelimit.backends.simple import MemoryBackend

    if url is not None:
        from ratelimit.backends.slidingredis import SlidingRedisBackend
        from redis.asyncio import StrictRedis

        backend: Any = SlidingRedisBackend(StrictRedis.from_url(url))
    else:
        backend = MemoryBackend()
    rule = Rule(minute=limit)

    async def hit(key: str) -> Answer:
        wait = await backend.retry_after("/", key, rule)
        return wait == 0, float(wait)

    return hit


_uids = count()


async def upstream(limit: int, url: str | None) -> Hit:
    """Its page "Direct usage". It needs its own environment, since its module is called traffik too."""
    from starlette.requests import Request

    from traffik import HTTPThrottle
    from traffik.backends.inmemory import InMemoryBackend

    if url is not None:
        from traffik.backends.redis import RedisBackend

        backend: Any = RedisBackend(url, namespace="peers")
    else:
        backend = InMemoryBackend(namespace="peers")

    class Refused(Exception):
        """Carries the wait out of the handler."""

    async def refuse(connection: Any, wait_ms: float, *_: Any) -> None:
        raise Refused(wait_ms / 1e3)

    async def identify(connection: Any, *_: Any) -> str:
        return str(connection.scope["client"][0])

    await backend.initialize()
    throttle = HTTPThrottle(
        f"peers-{next(_uids)}", f"{limit}/min", backend=backend, identifier=identify, handle_throttled=refuse
    )

    async def hit(key: str) -> Answer:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": (key, 1), "query_string": b""}
        try:
            await throttle.hit(Request(scope))
        except Refused as refused:
            return False, refused.args[0]
        return True, 0.0

    return hit


CONTESTANTS: Final = (
    Contestant("traffik", "SlidingWindow, the default", "traffik-core", traffik("SlidingWindow")),
    Contestant("traffik", "GCRA", "traffik-core", traffik("GCRA")),
    Contestant("traffik", "FixedWindow", "traffik-core", traffik("FixedWindow")),
    Contestant("limits", "moving window", "limits", limits("MovingWindowRateLimiter")),
    Contestant("limits", "fixed window", "limits", limits("FixedWindowRateLimiter")),
    Contestant("limits", "sliding window counter", "limits", limits("SlidingWindowCounterRateLimiter")),
    Contestant("throttled-py", "sliding window", "throttled-py", throttled("sliding_window")),
    Contestant("throttled-py", "token bucket", "throttled-py", throttled("token_bucket")),
    Contestant("throttled-py", "GCRA", "throttled-py", throttled("gcra")),
    Contestant("pyrate-limiter", "sliding log", "pyrate-limiter", pyrate),
    Contestant("aiolimiter", "leaky bucket", "aiolimiter", aiolimiter),
    Contestant("asgi-ratelimit", "fixed window, in Redis sliding", "asgi-ratelimit", asgi_ratelimit),
    Contestant("traffik 1.2.2", "its default", "traffik", upstream),
)
