"""limits: https://limits.readthedocs.io/en/stable/quickstart.html and async.html, strategies.html."""

from __future__ import annotations

import time
from typing import Any

from contestants.contestant import Answer, Contestant, Hit, Make, MakeSync

__all__ = ["CONTESTANTS"]


def hit(strategy: str) -> Make:
    async def make(limit: int, url: str | None) -> Hit:
        from limits import RateLimitItemPerMinute
        from limits.aio import storage, strategies

        kept: Any = storage.MemoryStorage()
        if url is not None:
            kept = storage.RedisStorage(f"async+{url}", implementation="redispy")
        limiter, item = getattr(strategies, strategy)(kept), RateLimitItemPerMinute(limit)

        async def one(key: str) -> Answer:
            if await limiter.hit(item, key):
                return True, 0.0
            return False, max(0.0, (await limiter.get_window_stats(item, key)).reset_time - time.time())

        return one

    return make


def hit_sync(strategy: str) -> MakeSync:
    def make(limit: int) -> Any:
        from limits import RateLimitItemPerMinute, storage, strategies

        limiter, item = getattr(strategies, strategy)(storage.MemoryStorage()), RateLimitItemPerMinute(limit)
        return lambda key: limiter.hit(item, key)

    return make


CONTESTANTS = tuple(
    Contestant("limits", words, "limits", "from limits import storage, strategies", hit(name), hit_sync(name))
    for words, name in (
        ("moving window", "MovingWindowRateLimiter"),
        ("fixed window", "FixedWindowRateLimiter"),
        ("sliding window counter", "SlidingWindowCounterRateLimiter"),
    )
)
