"""A new user's first steps with the extra `starlette`: a throttled route, found through the entry point."""

from importlib.metadata import files, version

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

shipped = {path.name for path in files("traffik-starlette") or ()}
assert {"LICENSE", "py.typed"} <= shipped, shipped

throttle = HTTPThrottle(uid="smoke", rate="2/min")


async def endpoint(request: Request) -> PlainTextResponse:
    await throttle.hit(request)
    return PlainTextResponse("admitted")


app = Starlette(routes=[Route("/", endpoint)], lifespan=InMemoryBackend().lifespan)
with TestClient(app) as client:
    responses = [client.get("/") for _ in range(3)]

assert [response.status_code for response in responses] == [200, 200, 429]
assert 0 < int(responses[-1].headers["retry-after"]) <= 60
print(f"traffik-starlette {version('traffik-starlette')}: two requests admitted, the third answered 429")
