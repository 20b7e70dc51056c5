"""aiolimiter: https://aiolimiter.readthedocs.io: it waits; `has_capacity` asks without waiting."""

from __future__ import annotations

from contestants.contestant import Answer, Contestant, Hit

__all__ = ["CONTESTANTS"]


async def hit(limit: int, url: str | None) -> Hit:
    if url is not None:
        raise NotImplementedError("it counts in one process only")
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(limit, 60)

    async def one(key: str) -> Answer:
        if not limiter.has_capacity():
            return False, None
        await limiter.acquire()
        return True, 0.0

    return one


CONTESTANTS = (
    Contestant(
        "aiolimiter",
        "leaky bucket, one for all clients",
        "aiolimiter",
        "from aiolimiter import AsyncLimiter",
        hit,
        "it is for async code",
        keyless="one bucket for all clients",
    ),
)
