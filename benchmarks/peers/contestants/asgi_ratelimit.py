"""asgi-ratelimit: its README: a middleware with a function for the client, a backend, and rules by path."""

from __future__ import annotations

from typing import Any

from contestants.contestant import Answer, Contestant, Hit

__all__ = ["CONTESTANTS"]


def backend(url: str | None) -> Any:
    from ratelimit.backends.simple import MemoryBackend

    if url is None:
        return MemoryBackend()
    from ratelimit.backends.redis import RedisBackend
    from redis.asyncio import StrictRedis

    return RedisBackend(StrictRedis.from_url(url))


async def hit(limit: int, url: str | None) -> Hit:
    from ratelimit import Rule

    store, rule = backend(url), Rule(minute=limit)

    async def one(key: str) -> Answer:
        wait = await store.retry_after("/", key, rule)
        return wait == 0, float(wait)

    return one


async def client(scope: Any) -> tuple[str, str]:
    return scope["client"][0], "default"


def limited(app: Any, limit: int, url: str | None) -> Any:
    from ratelimit import RateLimitMiddleware, Rule

    app.add_middleware(
        RateLimitMiddleware, authenticate=client, backend=backend(url), config={r"^/": [Rule(minute=limit)]}
    )
    return app


def starlette(limit: int, url: str | None) -> Any:
    from frameworks import bare_starlette

    return limited(bare_starlette(), limit, url)


def fastapi(limit: int, url: str | None) -> Any:
    from frameworks import bare_fastapi

    return limited(bare_fastapi(), limit, url)


CONTESTANTS = (
    Contestant(
        "asgi-ratelimit",
        "fixed window",
        "asgi-ratelimit",
        "from ratelimit import RateLimitMiddleware, Rule",
        hit,
        "it is for async code",
        {"Starlette": starlette, "FastAPI": fastapi},
    ),
)
