"""slowapi: https://slowapi.readthedocs.io, the quick starts for Starlette and FastAPI. It counts with limits."""

from __future__ import annotations

from typing import Any

from contestants.contestant import App, Contestant

__all__ = ["CONTESTANTS"]


def starlette(strategy: str) -> App:
    def make(limit: int, url: str | None) -> Any:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse

        limiter, app = limited(Starlette(), strategy, url)

        @limiter.limit(f"{limit}/minute")
        async def home(request: Request) -> Any:
            return PlainTextResponse("ok")

        app.add_route("/", home)
        return app

    return make


def fastapi(strategy: str) -> App:
    def make(limit: int, url: str | None) -> Any:
        from fastapi import FastAPI, Request

        limiter, app = limited(FastAPI(), strategy, url)

        async def home(request: Request) -> str:
            return "ok"

        home.__annotations__["request"] = Request  # FastAPI does not see the imports of a function
        app.get("/")(limiter.limit(f"{limit}/minute")(home))
        return app

    return make


def limited(app: Any, strategy: str, url: str | None) -> tuple[Any, Any]:
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from slowapi.util import get_remote_address

    limiter = Limiter(key_func=get_remote_address, strategy=strategy, storage_uri=url or "memory://")
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return limiter, app


CONTESTANTS = tuple(
    Contestant(
        "slowapi",
        words,
        "slowapi",
        "from slowapi import Limiter",
        "it works in Starlette and FastAPI only",
        "it works in Starlette and FastAPI only",
        {"Starlette": starlette(name), "FastAPI": fastapi(name)},
    )
    for words, name in (("fixed window, its default", "fixed-window"), ("moving window", "moving-window"))
)
