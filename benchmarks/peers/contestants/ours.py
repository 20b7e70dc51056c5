"""traffik: the first steps of its README."""

from __future__ import annotations

from typing import Any

from contestants.contestant import Answer, App, Contestant, DjangoPart, Hit, Make, MakeSync

__all__ = ["CONTESTANTS"]


def store(url: str | None) -> Any:
    from traffik.backends.inmemory import InMemoryBackend
    from traffik.backends.redis import RedisBackend

    return InMemoryBackend() if url is None else RedisBackend(url, deadline=30, on_error="raise")


def options(limit: int, strategy: str) -> dict[str, Any]:
    import traffik

    return {"uid": "peers", "rate": f"{limit}/min", "strategy": getattr(traffik, strategy)()}


def hit(strategy: str) -> Make:
    async def make(limit: int, url: str | None) -> Hit:
        from traffik import Limiter

        backend = store(url)
        await backend.open()
        limiter = Limiter(**options(limit, strategy), backend=backend)

        async def one(key: str) -> Answer:
            decision = await limiter.hit(key)
            return decision.allowed, decision.retry_after / 1e6

        return one

    return make


def hit_sync(strategy: str) -> MakeSync:
    def make(limit: int) -> Any:
        from traffik import Limiter

        return Limiter(**options(limit, strategy), backend=store(None)).sync.hit

    return make


def starlette(strategy: str) -> App:
    def make(limit: int, url: str | None) -> Any:
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        from traffik import HTTPThrottle

        throttle: Any = HTTPThrottle(**options(limit, strategy))

        async def home(request: Any) -> Any:
            await throttle.hit(request)
            return PlainTextResponse("ok")

        return Starlette(routes=[Route("/", home)], lifespan=store(url).lifespan)

    return make


def fastapi(strategy: str) -> App:
    def make(limit: int, url: str | None) -> Any:
        from fastapi import Depends, FastAPI

        from traffik import HTTPThrottle

        app = FastAPI(lifespan=store(url).lifespan)

        @app.get("/", dependencies=[Depends(HTTPThrottle(**options(limit, strategy)))])
        async def home() -> str:
            return "ok"

        return app

    return make


def django(strategy: str) -> App:
    def make(limit: int, url: str | None) -> DjangoPart:
        def decorators() -> Any:
            from traffik import HTTPThrottle
            from traffik_django import throttled

            throttle: Any = HTTPThrottle(**options(limit, strategy), backend=store(url))
            return throttled(throttle), throttled(throttle)

        return DjangoPart(decorators, {"INSTALLED_APPS": ["traffik_django"]})

    return make


def aiohttp(strategy: str) -> App:
    def make(limit: int, url: str | None) -> Any:
        from aiohttp import web

        from traffik import HTTPThrottle
        from traffik_aiohttp import setup

        throttle: Any = HTTPThrottle(**options(limit, strategy))

        async def home(request: web.Request) -> web.Response:
            await throttle.hit(request)
            return web.Response(text="ok")

        app = web.Application()
        app.router.add_get("/", home)
        setup(app, backend=store(url))
        return app

    return make


def contestant(strategy: str, *, whole: bool = False) -> Contestant:
    apps = {"Starlette": starlette, "FastAPI": fastapi, "Django": django, "aiohttp": aiohttp}
    return Contestant(
        "traffik",
        strategy + (", the default" if whole else ""),
        "traffik-core",
        "from traffik import HTTPThrottle",
        hit(strategy),
        hit_sync(strategy),
        {name: make(strategy) for name, make in apps.items()} if whole else {},
    )


CONTESTANTS = (contestant("SlidingWindow", whole=True), contestant("GCRA"), contestant("FixedWindow"))
