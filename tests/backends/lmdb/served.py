"""The application of the test servers: one limit, in a store that the workers share, or in one store for each."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from traffik import HTTPThrottle, Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend

LIMIT = 60
WHERE = os.environ.get("SERVED_FROM", "")

shared = LMDBBackend(WHERE, on_error="raise", deadline=10) if WHERE else InMemoryBackend()
throttle = HTTPThrottle("served", f"{LIMIT}/day", backend=shared)
limiter = Limiter("served:wsgi", f"{LIMIT}/day", backend=shared)


async def index(request):
    await throttle.hit(request)
    return PlainTextResponse(str(os.getpid()))


@asynccontextmanager
async def lifespan(app):
    async with shared.lifespan(app):
        yield


app = Starlette(routes=[Route("/", index)], lifespan=lifespan)


def wsgi(environ, start_response):
    """The same limit as a WSGI application, for a server that forks its workers after the store was used."""
    allowed = limiter.sync.hit("client")
    start_response("200 OK" if allowed else "429 Too Many Requests", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


if WHERE:
    limiter.sync.check("client")
