"""An API on the loopback interface with prepared responses, and paced clients that call it."""

from __future__ import annotations

import pytest

from tests.pacing.clients import ASYNC, CLIENTS, Call
from tests.servers import serve
from traffik import Limiter, SlidingLog


class API:
    """Answers with the statuses and fields in `answers`, then with 200.

    Notes the requests in `seen`, and when they came in `times`.
    """

    def __init__(self):
        self.address = ""
        self.reset(None)

    def reset(self, clock):
        self.clock, self.answers, self.seen, self.times = clock, [], [], []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.lifespan(receive, send)
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.times.append(self.clock.now)
        self.seen.append((scope["method"], scope["path"], body))
        status, fields = self.answers.pop(0) if self.answers else (200, {})
        raw = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": [*raw, (b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else b"ok"})
        return None

    async def lifespan(self, receive, send):
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})


@pytest.fixture(scope="module")
def served():
    api = API()
    with serve(api, date_header=False) as api.address:
        yield api


@pytest.fixture
def api(served, clock):
    served.reset(clock)
    return served


@pytest.fixture
def limiter(store):
    return Limiter("api", "100/s", strategy=SlidingLog(), backend=store)


@pytest.fixture
def pauses(clock):
    """The pauses that the clock has skipped, in µs."""
    with clock.skipping_pauses() as skipped:
        yield skipped


@pytest.fixture(params=CLIENTS)
def call(request, api, limiter, pauses):
    """Makes requests with each of the clients; returns their statuses."""
    return caller(CLIENTS[request.param], api, limiter)


@pytest.fixture(params=ASYNC)
def call_together(request, api, limiter, pauses):
    """The same for the clients that can make several requests at a time."""
    return caller(CLIENTS[request.param], api, limiter, together=True)


def caller(client, api, limiter, **always):
    def call(*calls, limiter=limiter, **options):
        return [answer.status_code for answer in client(api.address, limiter, calls or [Call()], **always, **options)]

    return call
