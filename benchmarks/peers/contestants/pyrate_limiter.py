"""pyrate-limiter: its README: the quick start, "Algorithms", and "Custom routing with BucketFactory" for clients."""

from __future__ import annotations

from typing import Any

from contestants.contestant import Answer, Contestant, Hit

__all__ = ["CONTESTANTS"]


def per_client(limit: int) -> Any:
    """A limiter with a bucket for each name."""
    from pyrate_limiter import BucketFactory, Duration, InMemoryBucket, Limiter, MonotonicClock, Rate, RateItem

    class PerName(BucketFactory):
        def __init__(self) -> None:
            self.clock, self.buckets = MonotonicClock(), {}

        def wrap_item(self, name: str, weight: int = 1) -> RateItem:
            return RateItem(name, self.clock.now(), weight=weight)

        def get(self, item: RateItem) -> Any:
            if item.name not in self.buckets:
                self.buckets[item.name] = self.create(InMemoryBucket, [Rate(limit, Duration.MINUTE)])
            return self.buckets[item.name]

    return Limiter(PerName())


async def hit(limit: int, url: str | None) -> Hit:
    limiter = per_client(limit) if url is None else await on_redis(limit, url)

    async def one(key: str) -> Answer:
        return bool(await limiter.try_acquire_async(key, blocking=False)), None

    return one


async def on_redis(limit: int, url: str) -> Any:
    """The README has one bucket for all clients there."""
    from pyrate_limiter import Duration, Limiter, Rate, RedisBucket
    from redis.asyncio import Redis

    return Limiter(await RedisBucket.init([Rate(limit, Duration.MINUTE)], Redis.from_url(url), "peers"))


async def hit_token_bucket(limit: int, url: str | None) -> Hit:
    from pyrate_limiter import Duration, Limiter, Rate, RedisStateStore, StateBucket, TokenBucket

    options: dict[str, Any] = {}
    if url is not None:
        from redis.asyncio import Redis

        options["store"] = RedisStateStore(Redis.from_url(url), "peers")
    limiter = Limiter(StateBucket([Rate(limit, Duration.MINUTE)], algorithm=TokenBucket(), **options))

    async def one(key: str) -> Answer:
        return bool(await limiter.try_acquire_async(key, blocking=False)), None

    return one


def hit_sync(limit: int) -> Any:
    limiter = per_client(limit)
    return lambda key: limiter.try_acquire(key, blocking=False)


def hit_token_bucket_sync(limit: int) -> Any:
    from pyrate_limiter import Duration, Limiter, Rate, StateBucket, TokenBucket

    limiter = Limiter(StateBucket([Rate(limit, Duration.MINUTE)], algorithm=TokenBucket()))
    return lambda key: limiter.try_acquire(key, blocking=False)


CONTESTANTS = (
    Contestant(
        "pyrate-limiter",
        "sliding log (Redis: one bucket)",
        "pyrate-limiter",
        "from pyrate_limiter import Duration, Limiter, Rate",
        hit,
        hit_sync,
    ),
    Contestant(
        "pyrate-limiter",
        "token bucket, one for all clients",
        "pyrate-limiter",
        "from pyrate_limiter import Duration, Limiter, Rate",
        hit_token_bucket,
        hit_token_bucket_sync,
        keyless="one bucket for all clients",
    ),
)
