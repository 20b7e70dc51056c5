"""`@throttled` on generators: refused before the response starts, and awaited on the loop."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import anyio.lowlevel
import pytest
from fastapi import Depends, FastAPI
from starlette.responses import PlainTextResponse, StreamingResponse

from tests.callers import calling, get, statuses
from traffik import HTTPThrottle
from traffik_starlette import throttled

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


async def wait_for_who(request):
    await anyio.lowlevel.checkpoint()
    return "client"


async def wait_for_cost(request):
    await anyio.lowlevel.checkpoint()
    return 1


async def wait_for_rate(request):
    await anyio.lowlevel.checkpoint()
    return "2/min"


ASYNC = {"identifier": wait_for_who, "cost": wait_for_cost}
"""Functions that sync code cannot call."""


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, wait_for_rate, **ASYNC)


def stream(throttle):
    @throttled(throttle)
    async def endpoint(q: int = 1) -> AsyncIterator[str]:
        yield f"a{q}"
        yield "b"

    return endpoint


def stream_sync(throttle):
    @throttled(throttle)
    def endpoint(q: int = 1) -> Iterator[str]:
        yield f"a{q}"
        yield "b"

    return endpoint


@pytest.mark.parametrize("make", [stream, stream_sync])
class TestAnEndpoint:
    @pytest.fixture(autouse=True)
    def fastapi(self):
        pytest.importorskip("fastapi.sse", reason="this FastAPI does not stream what an endpoint yields")

    async def test_it_streams_until_it_is_refused(self, throttle, make):
        app = FastAPI()
        app.get("/", response_class=StreamingResponse)(make(throttle))
        answers = [await get(app, "/?q=3") for _ in range(3)]
        assert [(answer.status_code, answer.text) for answer in answers[:2]] == [(200, "a3b")] * 2
        assert answers[2].status_code == 429
        assert "Retry-After" in answers[2].headers

    async def test_it_is_refused_with_the_response_of_an_async_handler(self, uid, make):
        async def busy(connection):
            await anyio.lowlevel.checkpoint()
            return PlainTextResponse("busy", 503, {"X-Why": "full"})

        app = FastAPI()
        app.get("/")(make(HTTPThrottle(uid, "0/min", handle_throttled=busy)))
        answer = await get(app)
        assert (answer.status_code, answer.json(), answer.headers["X-Why"]) == (503, {"detail": "busy"}, "full")


class TestADependency:
    @pytest.fixture
    def steps(self):
        return []

    @pytest.fixture(params=["async", "sync"])
    def app(self, request, throttle, steps):
        @throttled(throttle)
        def session():
            try:
                yield steps.append("begun") or "session"
            except ValueError:
                steps.append("failed")
                raise
            finally:
                steps.append("ended")

        @throttled(throttle)
        async def session_async():
            try:
                yield steps.append("begun") or "session"
            except ValueError:
                steps.append("failed")
                raise
            finally:
                steps.append("ended")

        dependency = session if request.param == "sync" else session_async
        app = FastAPI()

        @app.get("/")
        async def endpoint(session: Annotated[str, Depends(dependency)], bad: bool = False):
            if bad:
                raise ValueError(session)
            return session

        return app

    async def test_it_is_refused_before_it_begins(self, app, steps):
        assert await statuses(app, "/", "/", "/") == [200, 200, 429]
        assert steps == ["begun", "ended"] * 2

    async def test_it_gets_the_error_of_the_endpoint(self, app, steps):
        async with calling(app, raising=False) as caller:
            assert (await caller.get("/?bad=true")).status_code == 500
        assert steps == ["begun", "failed", "ended"]


async def test_a_generator_that_fastapi_does_not_call_is_an_error(throttle):
    with pytest.raises(TypeError, match="is a throttled generator, so FastAPI has to call it"):
        next(stream_sync(throttle)(3))


async def test_it_adds_nothing_to_the_openapi_document(throttle):
    documents = []
    for limited in (True, False):
        app = FastAPI()
        app.get("/")(stream(throttle) if limited else stream(throttle).__wrapped__)
        documents.append(app.openapi())
    assert documents[0] == documents[1]
