"""`@throttled`, in a module whose annotations are strings."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from tests.callers import DENIAL, converse, get, statuses
from traffik import HTTPThrottle, TokenBucket, WebSocketThrottle
from traffik_starlette import throttled

if TYPE_CHECKING:
    from starlette.requests import Request as OnlyForCheckers

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "1/min")


def route(endpoint):
    return Starlette(routes=[Route("/", endpoint)])


def named(name):
    """Make an endpoint whose parameter has this name."""
    scope = {"PlainTextResponse": PlainTextResponse}
    exec(f"async def endpoint({name}): return PlainTextResponse('ok')", scope)
    return scope["endpoint"]


def api(endpoint):
    app = FastAPI()
    app.get("/")(endpoint)
    return app


class TestInFastAPI:
    async def test_an_async_endpoint_with_a_request_parameter_works(self, throttle):
        @throttled(throttle)
        async def endpoint(q: int, r: Request):
            return q, r.url.path

        assert (await get(api(endpoint), "/?q=3")).json() == [3, "/"]
        assert (await get(api(endpoint), "/?q=3")).status_code == 429

    async def test_an_async_endpoint_without_one_works(self, throttle):
        @throttled(throttle)
        async def endpoint(q: int = 1):
            return q

        assert (await get(api(endpoint), "/?q=3")).json() == 3
        assert (await get(api(endpoint), "/?q=3")).status_code == 429

    async def test_a_sync_endpoint_with_a_request_parameter_works(self, throttle):
        @throttled(throttle)
        def endpoint(request: Request):
            return request.url.path

        assert await statuses(api(endpoint), "/", "/") == [200, 429]

    async def test_a_sync_endpoint_without_one_works(self, throttle):
        @throttled(throttle)
        def endpoint(q: int = 1):
            return q

        assert (await get(api(endpoint), "/?q=3")).json() == 3
        assert (await get(api(endpoint), "/?q=3")).status_code == 429

    async def test_a_stream(self, throttle):
        pytest.importorskip("fastapi.sse", reason="this FastAPI does not stream what an endpoint yields")

        @throttled(throttle)
        async def endpoint() -> AsyncIterator[int]:
            yield 1
            yield 2

        app = FastAPI()
        app.get("/")(endpoint)
        assert (await get(app)).text.split() == ["1", "2"]
        assert (await get(app)).status_code == 429

    async def test_an_endpoint_may_be_decorated_twice(self, uid, throttle):
        @throttled(HTTPThrottle(f"{uid}-2", "2/min"))
        @throttled(throttle)
        async def endpoint(q: int = 1):
            return q

        assert await statuses(api(endpoint), "/", "/") == [200, 429]

    async def test_a_websocket(self, uid):
        app = FastAPI()

        @app.websocket("/")
        @throttled(WebSocketThrottle(uid, "1/min"))
        async def endpoint(websocket: WebSocket):
            await websocket.accept()

        opened, denied = [(await converse(app, **DENIAL))[0]["type"] for _ in range(2)]
        assert (opened, denied) == ("websocket.accept", "websocket.http.response.start")

    async def test_the_openapi_document_does_not_change(self, throttle):
        async def endpoint(q: int, limit: str | None = None) -> list[int]:
            """What it does."""

        assert api(throttled(throttle)(endpoint)).openapi() == api(endpoint).openapi()


class TestInStarlette:
    @pytest.mark.parametrize("name", ["request", "connection", "_"])
    async def test_an_async_endpoint(self, throttle, name):
        namespace = {"PlainTextResponse": PlainTextResponse, "Request": Request}
        annotation = ": Request" if name == "_" else ""
        exec(f"async def endpoint({name}{annotation}): return PlainTextResponse('')", namespace)
        app = route(throttled(throttle)(namespace["endpoint"]))
        assert await statuses(app, "/", "/") == [200, 429]

    async def test_a_sync_endpoint(self, throttle):
        @throttled(throttle)
        def endpoint(request):
            return PlainTextResponse("")

        assert await statuses(route(endpoint), "/", "/") == [200, 429]

    async def test_an_annotation_that_is_only_for_type_checkers(self, throttle):
        @throttled(throttle)
        async def endpoint(request: OnlyForCheckers):
            return PlainTextResponse("")

        assert await statuses(route(endpoint), "/", "/") == [200, 429]

    async def test_a_method_of_an_endpoint_that_is_a_class(self, throttle):
        class Endpoint(HTTPEndpoint):
            @throttled(throttle)
            async def get(self, request):
                return PlainTextResponse("")

            @throttled(throttle)
            def delete(self, request):
                return PlainTextResponse("")

        assert await statuses(route(Endpoint), "/", "/") == [200, 429]

    async def test_an_object_that_is_called(self, throttle):
        class Endpoint:
            async def __call__(self, request):
                return PlainTextResponse("")

        assert await statuses(route(throttled(throttle)(Endpoint())), "/", "/") == [200, 429]

    async def test_a_partial(self, throttle):
        async def endpoint(text, request):
            return PlainTextResponse(text)

        app = route(throttled(throttle)(partial(endpoint, "text")))
        assert await statuses(app, "/", "/") == [200, 429]

    async def test_a_bound_method(self, throttle):
        class Controller:
            async def endpoint(self, request):
                return PlainTextResponse("")

        assert await statuses(route(throttled(throttle)(Controller().endpoint)), "/", "/") == [200, 429]

    async def test_a_websocket(self, uid):
        @throttled(WebSocketThrottle(uid, "0/min"))
        async def endpoint(websocket):
            raise AssertionError

        app = Starlette(routes=[WebSocketRoute("/", endpoint)])
        assert [message["type"] for message in await converse(app)] == ["websocket.close"]


class TestTheNamesOfParameters:
    @pytest.mark.parametrize("name", ["req", "_", "r"])
    async def test_they_do_not_matter_in_starlette(self, throttle, name):
        endpoint = throttled(throttle)(named(name))
        assert await statuses(route(endpoint), "/", "/") == [200, 429]

    async def test_they_do_not_matter_for_a_method(self, throttle):
        class Endpoint(HTTPEndpoint):
            @throttled(throttle)
            async def get(self, req):
                return PlainTextResponse("ok")

        assert await statuses(route(Endpoint), "/", "/") == [200, 429]

    async def test_a_name_alone_does_not_make_a_parameter_the_connection(self, throttle):
        @throttled(throttle)
        async def endpoint(request: int, connection: Annotated[str, Depends(lambda: "of a database")]):
            return request, connection

        assert (await get(api(endpoint), "/?request=3")).json() == [3, "of a database"]
        assert (await get(api(endpoint), "/?request=3")).status_code == 429

    async def test_they_do_not_matter_for_unions_and_annotated(self, throttle):
        @throttled(throttle)
        async def endpoint(r: Annotated[Request, "of the client"]):
            return r.url.path

        assert await statuses(api(endpoint), "/", "/") == [200, 429]

    def test_a_class_is_an_error(self, throttle):
        with pytest.raises(TypeError, match="throttled is for functions and methods: decorate the methods of"):
            throttled(throttle)(HTTPEndpoint)

    async def test_a_call_without_a_connection_is_an_error_that_says_what_to_do(self, throttle):
        with pytest.raises(TypeError, match="annotate a parameter as Request or WebSocket"):
            await throttled(throttle)(named("x"))(5)

    async def test_the_parameter_for_the_connection_may_have_a_default(self, throttle):
        @throttled(throttle)
        async def endpoint(q: int = 5, request: Request | None = None):
            return q

        assert await endpoint(3, Request({"type": "http", "client": ("192.0.2.1", 1), "headers": []})) == 3
        with pytest.raises(TypeError, match="annotate a parameter as Request or WebSocket"):
            await endpoint(3)

    def test_a_class_method_is_an_error(self, throttle):
        with pytest.raises(TypeError, match=r"cannot be above @classmethod: put it below, on .*endpoint"):
            throttled(throttle)(classmethod(named("cls")))

    @pytest.mark.parametrize("options", [{"cost": -1}, {"cost": "x"}, {"context": 5}])
    def test_an_invalid_cost_or_context_is_an_error_at_once(self, throttle, options):
        with pytest.raises((TypeError, ValueError)):
            throttled(throttle, **options)


class TestAHandlerThatReturnsAResponse:
    @pytest.fixture
    def throttle(self, uid):
        return HTTPThrottle(uid, "0/min", handle_throttled=lambda: PlainTextResponse("busy", 503))

    async def test_it_replaces_an_async_endpoint(self, throttle):
        @throttled(throttle)
        async def endpoint(request: Request):
            raise AssertionError

        answers = [await get(app(endpoint)) for app in (route, api)]
        assert [(answer.status_code, answer.text) for answer in answers] == [(503, "busy")] * 2

    async def test_it_replaces_a_sync_endpoint(self, throttle):
        @throttled(throttle)
        def endpoint(request: Request):
            raise AssertionError

        assert [(await get(app(endpoint))).status_code for app in (route, api)] == [503, 503]

    async def test_it_denies_a_websocket(self, uid):
        @throttled(WebSocketThrottle(uid, "0/min", handle_throttled=lambda: PlainTextResponse("busy", 503)))
        async def endpoint(websocket):
            raise AssertionError

        app = Starlette(routes=[WebSocketRoute("/", endpoint)])
        start, _ = await converse(app, **DENIAL)
        (close,) = await converse(app)
        assert (start["status"], close["code"]) == (503, 1008)

    async def test_it_does_not_replace_an_endpoint_that_hits_by_itself(self, throttle):
        async def endpoint(request):
            await throttle.hit(request)
            return PlainTextResponse("let in")

        assert (await get(route(endpoint))).text == "let in"


class TestItsArguments:
    async def test_a_rate_makes_a_throttle_named_after_the_endpoint(self):
        @throttled("1/min")
        async def endpoint(request):
            return PlainTextResponse("")

        refused = [await get(route(endpoint)) for _ in range(2)][1]
        named = re.escape(f"{__name__}.TestItsArguments"[:47])
        assert re.fullmatch(rf'"{named}-[0-9a-f]{{12}}";q=1;w=60', refused.headers["RateLimit-Policy"])

    async def test_options_are_those_of_the_new_throttle(self, uid):
        @throttled(
            "1/min", uid=uid, strategy=TokenBucket(burst=2), identifier=lambda request: request.query_params["k"]
        )
        async def endpoint(request):
            return PlainTextResponse("")

        paths = ["/?k=a", "/?k=a", "/?k=a", "/?k=b"]
        assert await statuses(route(endpoint), *paths) == [200, 200, 429, 200]

    async def test_cost_and_context_are_those_of_the_hit(self, uid):
        throttle = HTTPThrottle(uid, "2/min")

        def costing(cost, scope):
            async def endpoint(request):
                return PlainTextResponse("")

            return route(throttled(throttle, cost=cost, context={"scope": scope})(endpoint))

        apps = [costing(2, "a"), costing(1, "a"), costing(0, "a"), costing(2, "b")]
        assert [(await get(app)).status_code for app in apps] == [200, 429, 200, 200]

    async def test_several_throttles_are_hit_as_one(self, uid):
        one, two = HTTPThrottle(f"{uid}-1", "3/min"), HTTPThrottle(f"{uid}-2", "1/min")

        @throttled(one, two)
        async def endpoint(request):
            return PlainTextResponse("")

        app = route(endpoint)
        assert await statuses(app, "/", "/", "/", "/") == [200, 429, 429, 429]
        refused = await get(app)
        assert refused.headers["RateLimit-Policy"] == f'"{two.uid}";q=1;w=60, "{one.uid}";q=3;w=60'
        assert refused.headers["RateLimit"] == f'"{two.uid}";r=0;t=60, "{one.uid}";r=2;t=60'

    async def test_throttles_come_before_rates(self, throttle):
        @throttled("5/min", throttle)
        async def endpoint(request):
            return PlainTextResponse("")

        assert await statuses(route(endpoint), "/", "/") == [200, 429]

    @pytest.mark.parametrize("wrong", [(), (1,), (lambda request: None,), ("1/min", None)])
    def test_anything_else_is_an_error(self, wrong):
        with pytest.raises(TypeError, match="throttled takes throttles or rates"):
            throttled(*wrong)

    def test_options_without_a_rate_are_an_error(self, throttle):
        with pytest.raises(TypeError, match="strategy: options are for rates"):
            throttled(throttle, strategy=TokenBucket())

    def test_a_rate_for_an_object_without_a_name_is_an_error(self):
        with pytest.raises(TypeError, match="has no name to make a uid of"):
            throttled("1/min")(partial(get, None))

    def test_an_option_that_does_not_exist_is_an_error(self):
        with pytest.raises(TypeError, match="brust"):
            throttled("1/min", brust=3)(lambda request: None)


class TestWhatItKeeps:
    def test_it_keeps_name_documentation_and_annotations(self, throttle):
        async def endpoint(q: int) -> str:
            """What it does."""

        guarded = throttled(throttle)(endpoint)
        names = ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__")
        assert [getattr(guarded, name) for name in names] == [getattr(endpoint, name) for name in names]
        assert guarded.__wrapped__ is endpoint

    def test_async_functions_stay_async_and_sync_ones_sync(self, throttle):
        async def endpoint(request): ...

        assert inspect.iscoroutinefunction(throttled(throttle)(endpoint))
        assert not inspect.iscoroutinefunction(throttled(throttle)(lambda request: None))

    def test_it_keeps_a_signature_with_the_connection(self, throttle):
        def endpoint(a: int, request: Request, *rest: str): ...

        assert inspect.signature(throttled(throttle)(endpoint)) == inspect.signature(endpoint, eval_str=True)

    def test_it_adds_a_parameter_for_the_connection_to_other_signatures(self, throttle):
        def endpoint(a: int, **rest: str): ...

        assert list(inspect.signature(throttled(throttle)(endpoint)).parameters) == ["a", "traffik_request", "rest"]
