"""fastapi-limiter: the quick start of its README. It counts with pyrate-limiter, in one bucket for all clients."""

from __future__ import annotations

from typing import Any

from contestants.contestant import Contestant

__all__ = ["CONTESTANTS"]


def fastapi(limit: int, url: str | None) -> Any:
    if url is not None:
        raise NotImplementedError("its README shows no shared store")
    from fastapi import Depends, FastAPI
    from fastapi_limiter.depends import RateLimiter
    from pyrate_limiter import Duration, Limiter, Rate

    app = FastAPI()

    @app.get("/", dependencies=[Depends(RateLimiter(limiter=Limiter(Rate(limit, Duration.MINUTE))))])
    async def home() -> str:
        return "ok"

    return app


CONTESTANTS = (
    Contestant(
        "fastapi-limiter",
        "sliding log, one for all clients",
        "fastapi-limiter",
        "from fastapi_limiter.depends import RateLimiter",
        "it works in FastAPI only",
        "it works in FastAPI only",
        {"FastAPI": fastapi},
        keyless="one bucket for all clients",
    ),
)
