"""A new user's first steps with the extra `aiohttp`: a throttled route, found through the entry point."""

import asyncio
from importlib.metadata import files, version

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik_aiohttp import setup

shipped = {path.name for path in files("traffik-aiohttp") or ()}
assert {"LICENSE", "py.typed"} <= shipped, shipped

throttle = HTTPThrottle(uid="smoke", rate="2/min")


async def handler(request: web.Request) -> web.Response:
    await throttle.hit(request)
    return web.Response(text="admitted")


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", handler)
    setup(app, backend=InMemoryBackend())
    async with TestClient(TestServer(app)) as client:
        responses = [await client.get("/") for _ in range(3)]
    assert [response.status for response in responses] == [200, 200, 429]
    assert 0 < int(responses[-1].headers["Retry-After"]) <= 60
    print(f"traffik-aiohttp {version('traffik-aiohttp')}: two requests admitted, the third answered 429")


asyncio.run(main())
