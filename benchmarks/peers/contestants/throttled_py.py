"""throttled-py: its README, and https://throttled-py.readthedocs.io/en/latest/contrib/fastapi.html."""

from __future__ import annotations

from typing import Any

from contestants.contestant import Answer, App, Contestant, Hit, Make, MakeSync

__all__ = ["CONTESTANTS"]


def hit(using: str) -> Make:
    async def make(limit: int, url: str | None) -> Hit:
        from throttled.asyncio import MemoryStore, RedisStore, Throttled

        store: Any = MemoryStore() if url is None else RedisStore(server=url)
        throttle = Throttled(using=using, quota=f"{limit}/m burst {limit}", store=store)

        async def one(key: str) -> Answer:
            result = await throttle.limit(key)
            return not result.limited, result.state.retry_after

        return one

    return make


def hit_sync(using: str) -> MakeSync:
    def make(limit: int) -> Any:
        from throttled import MemoryStore, Throttled

        return Throttled(using=using, quota=f"{limit}/m burst {limit}", store=MemoryStore()).limit

    return make


def fastapi(using: str) -> App:
    def make(limit: int, url: str | None) -> Any:
        from fastapi import FastAPI, Request
        from throttled.asyncio import MemoryStore, RedisStore
        from throttled.asyncio.contrib.fastapi import (
            Limiter,
            RateLimitExceededError,
            get_remote_address,
            rate_limit_exceeded_handler,
        )

        store: Any = MemoryStore() if url is None else RedisStore(server=url)
        limiter = Limiter(f"{limit}/m burst {limit}", using=using, store=store, key_func=get_remote_address)
        app = FastAPI()
        app.add_exception_handler(RateLimitExceededError, rate_limit_exceeded_handler)

        async def home(request: Request) -> str:
            return "ok"

        home.__annotations__["request"] = Request  # FastAPI does not see the imports of a function
        app.get("/")(limiter.limit()(home))
        return app

    return make


CONTESTANTS = tuple(
    Contestant(
        "throttled-py",
        words,
        "throttled-py",
        "from throttled import Throttled",
        hit(name),
        hit_sync(name),
        {"FastAPI": fastapi(name)} if name == "token_bucket" else {},
        forgets="after 1,024 clients it forgets the oldest, by default",
    )
    for words, name in (
        ("token bucket, its default", "token_bucket"),
        ("sliding window", "sliding_window"),
        ("fixed window", "fixed_window"),
        ("GCRA", "gcra"),
    )
)
