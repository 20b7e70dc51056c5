"""Mistakes in an application that are found when it starts."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.callers import statuses
from traffik import HTTPThrottle, Limiter, Rule, WebSocketThrottle, notices
from traffik.adapters import check_app
from traffik.backends.inmemory import InMemoryBackend
from traffik.model.errors import ConfigurationError
from traffik_starlette import ThrottleMiddleware, throttled

pytestmark = pytest.mark.anyio


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "1/min")


@pytest.fixture
def app():
    return FastAPI()


async def start(app):
    """Start and stop an application; the messages to the server."""
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    told = []

    async def receive():
        return incoming.pop(0)

    async def send(message):
        told.append(message)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return told


def said():
    return [notice.id for notice in notices.said()]


@pytest.mark.parametrize("given", ["throttle", "list", "dict", "keyword"])
def test_a_rule_of_a_middleware_for_an_unknown_route_is_reported(app, uid, given):
    router, inner = APIRouter(prefix="/items"), Starlette(routes=[Route("/deep", PlainTextResponse("ok"))])
    router.get("/{item_id}")(lambda item_id: None)
    app.include_router(router, prefix="/v1")
    app.mount("/in", inner)
    routes = ["/v1/items/{item_id}", "/in/deep", "/v1/items/{id}"]
    throttle = HTTPThrottle(uid, "1/min", rules=[Rule(route=route) for route in routes])
    options = {"throttles": [throttle]} if given == "keyword" else {}
    arguments = {"throttle": [throttle], "list": [[throttle]], "dict": [{uid: throttle}]}
    app.add_middleware(ThrottleMiddleware, *arguments.get(given, []), **options)
    check_app(app)
    (notice,) = notices.said()
    assert (notice.id, notice.about) == ("unknown-route", uid)
    assert "for the route '/v1/items/{id}', " in notice.sentence
    assert "('/v1/items/{item_id}'" in notice.sentence


class TestADecoratorAboveTheRoute:
    async def test_it_is_reported_when_the_store_opens(self, app, throttle):
        @throttled(throttle)
        @app.get("/")
        async def endpoint(): ...

        async with InMemoryBackend().lifespan(app):
            assert said() == ["misplaced-decorator"]
        assert f"{__file__}:" in notices.said()[0].about

    async def test_it_is_reported_by_the_middleware(self, app, throttle):
        @throttled(throttle)
        @app.get("/")
        def endpoint(): ...

        app.add_middleware(ThrottleMiddleware)
        await start(app)
        assert said() == ["misplaced-decorator"]

    async def test_it_is_reported_in_routers_and_mounted_applications(self, app, throttle):
        router, inner = APIRouter(), FastAPI()
        for place in (router, inner):
            throttled(throttle)(place.get("/x")(lambda: None))
        app.include_router(router)
        app.mount("/inner", inner)
        check_app(app)
        assert said() == ["misplaced-decorator"]

    async def test_it_is_reported_on_a_route_of_starlette(self, throttle):
        async def endpoint(request): ...

        throttled(throttle)(endpoint)
        check_app(Starlette(routes=[Mount("/in", routes=[Route("/", endpoint)])]))
        assert said() == ["misplaced-decorator"]

    async def test_a_decorator_below_the_route_is_not_reported(self, app, throttle):
        @app.get("/")
        @throttled(throttle)
        async def endpoint(): ...

        check_app(app)
        assert said() == []


class TestADependencyThatCannotWork:
    @pytest.mark.parametrize("method", ["hit", "check"])
    async def test_it_is_an_error_that_says_what_to_write(self, app, throttle, method):
        app.get("/", dependencies=[Depends(getattr(throttle, method))])(lambda: None)
        with pytest.raises(
            ConfigurationError, match=rf"'/' depends on the method '{method}' of .*: write Depends\(thr"
        ):
            async with InMemoryBackend().lifespan(app):
                raise AssertionError

    async def test_a_limiter_is_one_since_clients_could_choose_the_identity(self, app):
        app.get("/", dependencies=[Depends(Limiter("mails", "1/min").hit)])(lambda: None)
        with pytest.raises(ConfigurationError, match="clients could choose its arguments in the query"):
            check_app(app)

    async def test_with_the_middleware_the_server_does_not_start(self, app, throttle):
        app.get("/", dependencies=[Depends(throttle.sync.hit)])(lambda: None)
        app.add_middleware(ThrottleMiddleware)
        (told,) = await start(app)
        assert told["type"] == "lifespan.startup.failed"
        assert "write Depends(throttle)" in told["message"]

    async def test_a_websocket_throttle_on_an_http_route_is_one(self, app, uid):
        app.get("/", dependencies=[Depends(WebSocketThrottle(uid, "1/min"))])(lambda: None)
        with pytest.raises(ConfigurationError, match=r"'/' is a route for HTTP, .*: use an HTTPThrottle there"):
            check_app(app)

    async def test_it_is_found_in_nested_dependencies(self, app, throttle):
        def inner(limited: Annotated[object, Depends(throttle.hit)]): ...

        app.include_router(APIRouter(dependencies=[Depends(inner)]))
        app.get("/", dependencies=[Depends(inner)])(lambda: None)
        with pytest.raises(ConfigurationError):
            check_app(app)


async def test_a_method_of_a_users_throttle_class_works_as_a_dependency(app, uid):
    class Mine(HTTPThrottle):
        async def limited(self, request: Request):
            return await self.hit(request)

    app.get("/", dependencies=[Depends(Mine(uid, "1/min").limited)])(lambda: None)
    check_app(app)


@pytest.mark.usefixtures("backend")
async def test_the_sync_form_works_as_a_dependency(app, throttle):
    app.get("/", dependencies=[Depends(throttle.sync)])(lambda: None)
    assert await statuses(app, "/?cost=0", "/?cost=0") == [200, 429]
    assert app.openapi()["paths"]["/"]["get"].get("parameters") is None


class TestTheMiddlewareForCORS:
    async def test_inside_the_throttling_middleware_it_is_reported(self, app, throttle):
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
        app.add_middleware(ThrottleMiddleware, throttle)
        await start(app)
        assert said() == ["cors-order"]
        assert "put CORSMiddleware outside ThrottleMiddleware" in notices.said()[0].sentence

    async def test_outside_the_throttling_middleware_it_is_not_reported(self, app, throttle):
        app.add_middleware(ThrottleMiddleware, throttle)
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
        await start(app)
        assert said() == []

    async def test_inside_a_wrapped_application_it_is_reported(self, app, throttle):
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
        ThrottleMiddleware(app, throttle)
        assert said() == ["cors-order"]

    async def test_inside_a_middleware_without_throttles_it_is_not_reported(self, app):
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
        app.add_middleware(ThrottleMiddleware)
        await start(app)
        assert said() == []


async def test_an_application_without_routes_is_ignored():
    check_app(None)
    check_app(PlainTextResponse("an ASGI application"))
    assert said() == []
