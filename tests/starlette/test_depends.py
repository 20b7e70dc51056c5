"""Throttles as FastAPI's dependencies."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket

from tests.callers import DENIAL, converse, get, statuses
from traffik import AllOf, ConfigurationError, HTTPThrottle, WebSocketThrottle
from traffik.adapters import check_app

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


def app_with(*dependencies, **options):
    app = FastAPI(**options)

    @app.get("/{item}", dependencies=dependencies)
    async def endpoint(item: int, q: str = ""):
        return item

    return app


async def test_a_route_is_throttled(uid):
    assert await statuses(app_with(Depends(HTTPThrottle(uid, "1/min"))), "/1", "/2") == [200, 429]


async def test_a_route_with_a_sync_endpoint_is_throttled(uid):
    app = FastAPI()
    app.get("/", dependencies=[Depends(HTTPThrottle(uid, "1/min"))])(lambda: "admitted")
    assert await statuses(app, "/", "/") == [200, 429]


async def test_it_returns_the_connection(uid):
    app, throttle = FastAPI(), HTTPThrottle(uid, "1/min")

    @app.get("/")
    async def endpoint(request: Request, hit: Annotated[Any, Depends(throttle)]):
        return hit is request

    assert (await get(app)).json() is True


def test_it_adds_nothing_to_openapi(uid):
    assert app_with().openapi() == app_with(Depends(HTTPThrottle(uid, "1/min"))).openapi()


async def test_a_client_cannot_give_the_cost(uid):
    app = app_with(Depends(HTTPThrottle(uid, "1/min")))
    assert await statuses(app, "/1", "/1?cost=0&context=1&connection=1") == [200, 429]


async def test_a_router_is_throttled(uid):
    router = APIRouter(dependencies=[Depends(HTTPThrottle(uid, "1/min"))])
    router.get("/in")(lambda: "in")
    app = FastAPI()
    app.include_router(router)
    app.get("/out")(lambda: "out")
    assert await statuses(app, "/in", "/in", "/out") == [200, 429, 200]


async def test_a_whole_application_is_throttled(uid):
    app = app_with(dependencies=[Depends(HTTPThrottle(uid, "1/min"))])
    assert await statuses(app, "/1", "/2") == [200, 429]


async def test_a_throttled_application_may_have_websockets(uid):
    app = FastAPI(dependencies=[Depends(HTTPThrottle(uid, "1/min"))])

    @app.websocket("/")
    async def endpoint(websocket: WebSocket):
        await websocket.accept()

    opened, denied = [(await converse(app, **DENIAL))[0]["type"] for _ in range(2)]
    assert (opened, denied) == ("websocket.accept", "websocket.http.response.start")


async def test_a_websocket_is_throttled(uid):
    app, throttle = FastAPI(), WebSocketThrottle(uid, "1/min")

    @app.websocket("/")
    async def endpoint(websocket: WebSocket, hit: Annotated[Any, Depends(throttle)]):
        assert hit is websocket
        await websocket.accept()

    check_app(app)
    opened, denied = [(await converse(app, **DENIAL))[0]["type"] for _ in range(2)]
    assert (opened, denied) == ("websocket.accept", "websocket.http.response.start")


async def test_a_throttle_used_twice_is_hit_once(uid):
    throttle = HTTPThrottle(uid, "2/min")
    app = app_with(Depends(throttle), dependencies=[Depends(throttle)])
    assert await statuses(app, "/1", "/1", "/1") == [200, 200, 429]


async def test_several_are_hit_in_order(uid):
    narrow, wide = HTTPThrottle(f"{uid}-narrow", "1/min"), HTTPThrottle(f"{uid}-wide", "2/min")
    app = app_with(Depends(wide), Depends(narrow))
    assert await statuses(app, "/1", "/1", "/1") == [200, 429, 429]
    assert f'"{wide.uid}";q=2;w=60' == (await get(app, "/1")).headers["RateLimit-Policy"]


async def test_a_test_may_override_it(uid):
    throttle = HTTPThrottle(uid, "0/min")
    app = app_with(Depends(throttle))
    app.dependency_overrides[throttle] = lambda: None
    assert await statuses(app, "/1") == [200]


class TestAllOf:
    @pytest.fixture
    def both(self, uid):
        return AllOf(HTTPThrottle(f"{uid}-wide", "10/min"), HTTPThrottle(f"{uid}-narrow", "2/min"))

    async def test_it_takes_from_all_limits_or_from_none(self, both):
        app = app_with(Depends(both))
        answers = [await get(app, "/1") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 2 + [429] * 3
        assert '-wide";r=8;' in answers[-1].headers["RateLimit"]
        assert answers[-1].headers.get_list("Retry-After") == ["60"]

    async def test_it_returns_the_connection_in_async_and_sync_code(self, both):
        app = FastAPI()

        @app.get("/")
        def endpoint(request: Request, one: Annotated[Any, Depends(both)], two: Annotated[Any, Depends(both.sync)]):
            return one is request and two is request

        assert (await get(app)).json() is True

    def test_the_openapi_document_does_not_show_it(self, both):
        assert app_with().openapi() == app_with(Depends(both)).openapi() == app_with(Depends(both.sync)).openapi()

    async def test_clients_cannot_set_the_cost(self, both):
        paths = ["/1?cost=0&context=1&connection=1"] * 3
        assert await statuses(app_with(Depends(both)), *paths) == [200, 200, 429]

    @pytest.mark.parametrize("method", ["hit", "check", "reserve"])
    def test_its_methods_are_no_dependencies(self, both, method):
        with pytest.raises(ConfigurationError, match="choose its arguments in the query"):
            check_app(app_with(Depends(getattr(both, method))))

    def test_a_class_of_throttles_is_no_dependency(self):
        with pytest.raises(ConfigurationError, match="class HTTPThrottle, which limits nothing: write Depends"):
            check_app(app_with(Depends(HTTPThrottle)))

    def test_one_for_websockets_on_an_http_route_is_an_error(self, uid):
        with pytest.raises(ConfigurationError, match="use an HTTPThrottle there"):
            check_app(app_with(Depends(AllOf(WebSocketThrottle(uid, "1/min")))))
