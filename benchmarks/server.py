"""How many requests a second does a throttled server answer?

Three servers run on loopback, uvicorn with a Starlette application of one route: one bare, one with `await
throttle.hit(request)` in the route and `ThrottleMiddleware` for the headers, and one that only sends two constant
headers of that length, to show the server's own cost for them. They get load in turns, a second each, from `wrk` if it
is installed, or else from the small client in `load.py`. First with plain uvicorn, which uses h11 and asyncio, and then
with `uvicorn[standard]`, which uses httptools and uvloop, so that a hit takes a larger part of the time.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from statistics import median

import load
import uvicorn
from measure import Result, rotated, spread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import ThrottleMiddleware

__all__ = ["TITLE", "measure"]

TITLE = "requests a second under uvicorn, to the bare server"
ROUNDS, SECONDS, CONNECTIONS = 12, 1, 32
GOAL = 0.9


async def bare(request: Request) -> Response:
    return PlainTextResponse("ok")


def bare_app() -> Starlette:
    return Starlette(routes=[Route("/", bare)])


def throttled_app() -> Starlette:
    throttle = HTTPThrottle("server", "10000000/min")

    async def throttled(request: Request) -> Response:
        await throttle.hit(request)
        return PlainTextResponse("ok")

    middleware = [Middleware(ThrottleMiddleware)]
    return Starlette(routes=[Route("/", throttled)], middleware=middleware, lifespan=InMemoryBackend().lifespan)


def headers_app() -> Starlette:
    fields = {"RateLimit-Policy": '"server";q=10000000;w=60', "RateLimit": '"server";r=9999999;t=120'}

    async def with_headers(request: Request) -> Response:
        return PlainTextResponse("ok", headers=fields)

    return Starlette(routes=[Route("/", with_headers)])


APPS = {"bare": bare_app, "throttled": throttled_app, "headers": headers_app}


ENGINES = {"h11 and asyncio": ("h11", "asyncio"), "httptools and uvloop": ("httptools", "uvloop")}


def measure() -> list[Result]:
    """The share of the bare server's requests a second, for each engine that is installed."""
    installed = {name: engine for name, engine in ENGINES.items() if all(map(find_spec, engine))}
    return [line for name, engine in installed.items() for line in _shares(name, engine)]


def _shares(engine_name: str, engine: tuple[str, str]) -> list[Result]:
    rates: dict[str, list[float]] = {name: [] for name in APPS}
    with ExitStack() as servers:
        ports = {name: servers.enter_context(serving(name, *engine)) for name in APPS}
        for turn in range(ROUNDS + 1):
            for name in rotated(list(APPS), turn):
                answered = load.rate(ports[name], CONNECTIONS, SECONDS)
                if turn:  # the first turn warms up
                    rates[name].append(answered)
    where = f"{engine_name}, under {load.NAME}"
    return [
        _share(f"hit and headers, {where}", rates["throttled"], rates["bare"], GOAL),
        _share("  the two headers alone", rates["headers"], rates["bare"], None),
    ]


def _share(subject: str, ours: list[float], bare: list[float], goal: float | None) -> Result:
    shares = [one / other for one, other in zip(ours, bare, strict=True)]
    detail = f"{median(ours):,.0f}/s : {median(bare):,.0f}/s"
    return Result(subject, *spread(shares), goal=goal, at_least=True, detail=detail)


@contextmanager
def serving(name: str, http: str, loop: str) -> Iterator[int]:
    """Run the server `name` in another process; its port."""
    command = [sys.executable, __file__, name, http, loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _serve(name: str, http: str, loop: str) -> None:
    """Serve on a free port and print it."""
    config = uvicorn.Config(APPS[name](), http=http, loop=loop, access_log=False, log_level="warning")
    # With its protocol given, since asyncio switches Nagle's delays off only for TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2 * CONNECTIONS)
        print(listener.getsockname()[1], flush=True)  # connections wait in the backlog until it serves
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    _serve(*sys.argv[1:])
