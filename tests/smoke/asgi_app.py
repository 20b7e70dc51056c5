"""A new user's first steps with the extra `asgi`: a throttled application, with a hit found through the entry point."""

import asyncio
from importlib.metadata import files, version

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik_asgi import ASGIRequest, ThrottleMiddleware

shipped = {path.name for path in files("traffik-asgi") or ()}
assert {"LICENSE", "py.typed"} <= shipped, shipped

throttle = HTTPThrottle(uid="smoke", rate="2/min")


async def endpoint(scope, receive, send):
    await throttle.hit(ASGIRequest(scope))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"admitted"})


async def status_of(app) -> int:
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("192.0.2.1", 1)}
    await app(scope, None, send)
    return sent[0]["status"]


store = InMemoryBackend()
answers = [asyncio.run(status_of(ThrottleMiddleware(endpoint))) for _ in range(3)]
assert answers == [200, 200, 429], answers
print(f"traffik-asgi {version('traffik-asgi')}: two requests admitted, the third answered 429")
