"""The applications under load: the same three limits in Starlette, aiohttp and Django, in stores that they share."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.redis import RedisBackend
from traffik.identities import header

LIMIT, SECONDS = 20, 2
CLIENT = "X-Client"

# A loaded machine must not turn a slow answer into a fault, so the deadlines are long.
STORES = {
    "redis": RedisBackend(os.environ["SOAK_REDIS"], deadline=5),
    "lmdb": LMDBBackend(os.environ["SOAK_LMDB"], on_error="raise", deadline=10),
    "memory": InMemoryBackend(),
}
THROTTLES = {
    name: HTTPThrottle(f"soak:{name}", f"{LIMIT}/{SECONDS}s", identifier=header(CLIENT), backend=store)
    for name, store in STORES.items()
}


@asynccontextmanager
async def lifespan(app: Any):
    async with AsyncExitStack() as stack:
        for store in STORES.values():
            await stack.enter_async_context(store.lifespan(app))
        yield


def starlette_app():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def endpoint(request):
        await THROTTLES[request.path_params["name"]].hit(request)
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/{name}", endpoint)], lifespan=lifespan)


def aiohttp_app(argv):
    from aiohttp import web

    async def endpoint(request):
        await THROTTLES[request.match_info["name"]].hit(request)
        return web.Response(text="ok")

    async def opened(app):
        async with lifespan(app):
            yield

    app = web.Application()
    app.router.add_get("/{name}", endpoint)
    app.cleanup_ctx.append(opened)
    return app


def django_app():
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    def view(request, name):
        THROTTLES[name].sync.hit(request)
        return HttpResponse("ok")

    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=(path("<name>", view),),
        INSTALLED_APPS=["traffik_django"],
        MIDDLEWARE=["traffik_django.middleware.ThrottleMiddleware"],
    )
    django.setup()
    return get_wsgi_application()
