"""The release called traffik, version 1.2.2: its README, and its page "Direct usage".

It needs an environment without ours, since its module has the same name.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from contestants.contestant import Answer, Contestant, Hit

__all__ = ["CONTESTANTS"]

_uids = count()


def store(url: str | None) -> Any:
    if url is None:
        from traffik.backends.inmemory import InMemoryBackend

        return InMemoryBackend(namespace="peers")
    from traffik.backends.redis.aioredis import RedisBackend

    return RedisBackend(url, namespace="peers")


async def hit(limit: int, url: str | None) -> Hit:
    from starlette.requests import Request

    from traffik import HTTPThrottle

    class Refused(Exception):
        """Carries the wait out of the handler."""

    async def refuse(connection: Any, wait_ms: float, *_: Any) -> None:
        raise Refused(wait_ms / 1e3)

    async def identify(connection: Any, *_: Any) -> str:
        return str(connection.scope["client"][0])

    backend = store(url)
    await backend.initialize()
    uid = f"peers-{next(_uids)}"
    throttle: Any = HTTPThrottle(uid, f"{limit}/min", backend=backend, identifier=identify, handle_throttled=refuse)

    async def one(key: str) -> Answer:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": (key, 1), "query_string": b""}
        try:
            await throttle.hit(Request(scope))
        except Refused as refused:
            return False, refused.args[0]
        return True, 0.0

    return one


def starlette(limit: int, url: str | None) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from traffik import HTTPThrottle

    throttle: Any = HTTPThrottle(f"app-{next(_uids)}", f"{limit}/min")

    async def home(request: Any) -> Any:
        await throttle.hit(request)
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/", home)], lifespan=store(url).lifespan)


def fastapi(limit: int, url: str | None) -> Any:
    from fastapi import Depends, FastAPI

    from traffik import HTTPThrottle

    app = FastAPI(lifespan=store(url).lifespan)

    @app.get("/", dependencies=[Depends(HTTPThrottle(f"app-{next(_uids)}", f"{limit}/min"))])
    async def home() -> str:
        return "ok"

    return app


CONTESTANTS = (
    Contestant(
        "traffik 1.2.2",
        "fixed window, its default",
        "traffik",
        "from traffik import HTTPThrottle",
        hit,
        "it is for async code",
        {"Starlette": starlette, "FastAPI": fastapi},
    ),
)
