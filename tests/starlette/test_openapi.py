"""The openapi.json of real FastAPI applications with throttles."""

import functools
import re
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from starlette.applications import Starlette
from starlette.middleware import Middleware

from tests.callers import get
from traffik import AllOf, HTTPThrottle, ResponseOptions, Rule, WebSocketThrottle
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.redis import RedisBackend
from traffik.identities import combined, deny, exempt, hashed, header
from traffik_starlette import (
    Throttled,
    ThrottleMiddleware,
    UploadMiddleware,
    answer_throttled,
    document_throttles,
    throttled,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ThrottleProblem"}}}


@pytest.fixture
def one(uid):
    return HTTPThrottle(uid, "5/min")


def app_of(*throttles, handled=True, **options):
    """Make an application with a throttled route and a free one, and a documented 429."""
    app = FastAPI(**options)
    if handled:
        app.add_exception_handler(Throttled, answer_throttled)
    app.get("/limited", dependencies=[Depends(each) for each in throttles])(lambda: "in")
    app.get("/free")(lambda: "in")
    document_throttles(app)
    return app


async def document_of(app):
    answer = await get(app, "/openapi.json")
    assert answer.status_code == 200
    return answer.json()


async def responses(app, path="/limited", method="get"):
    return (await document_of(app))["paths"][path][method]["responses"]


class TestARoute:
    async def test_a_throttled_route_has_a_429(self, one):
        told = (await responses(app_of(one)))["429"]
        assert (told["description"], told["content"]) == ("Too Many Requests", PROBLEM)
        assert {name: field["schema"]["type"] for name, field in told["headers"].items()} == {
            "Retry-After": "integer",
            "RateLimit-Policy": "string",
            "RateLimit": "string",
        }

    async def test_a_route_without_throttles_does_not_change(self, one):
        assert set(await responses(app_of(one), "/free")) == {"200"}

    async def test_a_throttle_in_a_nested_dependency_is_found(self, one):
        async def user(hit: Annotated[object, Depends(one.hit)]):
            return hit

        app = app_of()
        app.get("/deep", dependencies=[Depends(user)])(lambda: "in")
        assert "429" in await responses(app, "/deep")

    async def test_a_throttle_of_its_router_is_found(self, one):
        inner, outer, app = APIRouter(), APIRouter(dependencies=[Depends(one)]), app_of()
        for add in (inner.get, inner.post):
            add("/{item}")(lambda item: item)
        outer.include_router(inner, prefix="/in")
        app.include_router(outer, prefix="/out")
        for method in ("get", "post"):
            assert "429" in await responses(app, "/out/in/{item}", method)

    async def test_a_throttle_of_the_application_is_found(self, one):
        assert "429" in await responses(app_of(dependencies=[Depends(one)]), "/free")

    async def test_a_throttle_of_its_decorator_is_found(self, one):
        def audited(endpoint):
            @functools.wraps(endpoint)
            def audited(*args, **kwargs):
                return endpoint(*args, **kwargs)

            return audited

        app = app_of()
        app.get("/plain")(throttled(one)(lambda: "in"))
        app.get("/audited")(audited(throttled(one)(lambda: "in")))
        for path in ("/plain", "/audited"):
            assert "429" in await responses(app, path)

    async def test_a_hit_in_the_endpoint_is_not_found(self, one):
        app = app_of()

        @app.get("/direct")
        async def direct(request: Request):
            await one.hit(request)

        assert "429" not in await responses(app, "/direct")

    async def test_a_429_of_the_route_does_not_change(self, one):
        app = app_of()
        own = {429: {"description": "Slow down"}, 503: {"description": "Away"}}
        app.get("/own", dependencies=[Depends(one)], responses=own)(lambda: "in")
        told = await responses(app, "/own")
        assert (told["429"], told["503"]) == ({"description": "Slow down"}, {"description": "Away"})

    async def test_a_hidden_route_stays_hidden(self, one):
        app = app_of()
        app.get("/hidden", dependencies=[Depends(one)], include_in_schema=False)(lambda: "in")
        assert "/hidden" not in (await document_of(app))["paths"]

    async def test_a_route_added_later_is_found(self, one):
        app = app_of()
        await document_of(app)
        app.openapi_schema = None  # FastAPI makes the document again after this
        app.get("/later", dependencies=[Depends(one)])(lambda: "in")
        assert "429" in await responses(app, "/later")


class TestTheMiddleware:
    @pytest.mark.parametrize("given", ["one", "list", "keyword"])
    async def test_every_route_behind_it_has_a_429(self, one, given):
        app = app_of()
        if given == "keyword":
            app.add_middleware(ThrottleMiddleware, throttles=one)
        else:
            app.add_middleware(ThrottleMiddleware, one if given == "one" else [one])
        assert (await responses(app, "/free"))["429"]["content"] == PROBLEM

    @pytest.mark.parametrize(
        ("rules", "documented"),
        [
            (Rule("/limited"), {"/limited"}),
            (Rule("/**", methods=["POST"]), set()),
            (Rule("/free", bypass=True), {"/limited", "/users/{number}"}),
            (Rule(route="/users/{number}"), {"/users/{number}"}),
            (Rule("/users/*"), {"/users/{number}"}),
            (Rule(re.compile(r"/users/\d+")), {"/users/{number}"}),
            (Rule("/free", when=lambda request: True), {"/free"}),
        ],
    )
    async def test_only_routes_that_its_rules_can_match_have_a_429(self, uid, rules, documented):
        app = app_of()
        app.get("/users/{number}")(lambda number: number)
        app.add_middleware(ThrottleMiddleware, HTTPThrottle(uid, "5/min", rules=rules))
        paths = (await document_of(app))["paths"]
        assert {path for path in paths if "429" in paths[path]["get"]["responses"]} == documented

    async def test_without_http_throttles_no_route_has_a_429(self, uid):
        middleware = [Middleware(ThrottleMiddleware), Middleware(ThrottleMiddleware, WebSocketThrottle(uid, "1/s"))]
        assert "429" not in await responses(app_of(middleware=middleware), "/free")

    async def test_other_middlewares_add_nothing(self):
        def other(app):
            return app

        assert "429" not in await responses(app_of(middleware=[Middleware(other)]), "/free")


@pytest.mark.parametrize(
    ("identifier", "told"),
    [
        (deny("192.0.2.0/24"), True),
        (combined(hashed(deny("192.0.2.0/24"), "s" * 16), header("X-Key")), True),
        (exempt("192.0.2.0/24"), False),
        (None, False),
    ],
)
async def test_a_403_is_added_for_denied_clients(uid, identifier, told):
    documented = await responses(app_of(HTTPThrottle(uid, "5/min", identifier=identifier)))
    assert documented.get("403") == ({"description": "Forbidden", "content": PROBLEM} if told else None)


class TestTheBody:
    async def test_without_our_handler_it_is_that_of_fastapi(self, one):
        app = app_of(one, handled=False)
        told = (await responses(app))["429"]["content"]
        assert told["application/json"]["schema"]["required"] == ["detail"]
        refused = [await get(app, "/limited") for _ in range(6)][5]
        assert (list(refused.json()), refused.headers["Content-Type"]) == (["detail"], *told)

    async def test_with_our_handler_it_is_the_actual_one(self, one):
        app = app_of(one)
        document = await document_of(app)
        (kind,) = document["paths"]["/limited"]["get"]["responses"]["429"]["content"]
        schema = document["components"]["schemas"]["ThrottleProblem"]
        refused = [await get(app, "/limited") for _ in range(6)][5]
        assert refused.headers["Content-Type"] == kind
        assert set(schema["required"]) <= set(refused.json()) == set(schema["properties"])
        assert refused.json()["type"] in schema["properties"]["type"]["enum"]

    async def test_it_may_be_the_detail_alone(self, uid):
        throttle = HTTPThrottle(uid, "5/min", responses=ResponseOptions(problem=False))
        assert list((await responses(app_of(throttle)))["429"]["content"]) == ["application/json"]

    async def test_with_another_handler_it_is_left_out(self, uid, one):
        async def other(request, error):
            return await http_exception_handler(request, error)

        app = app_of(one, handled=False)
        app.add_exception_handler(429, other)
        own = app_of(HTTPThrottle(f"{uid}-own", "5/min", handle_throttled=lambda: None))
        for each in (app, own):
            assert "content" not in (await responses(each))["429"]


async def test_the_headers_are_those_of_responses(uid):
    throttle = HTTPThrottle(uid, "5/min", responses=ResponseOptions(fields=("draft-06", "x-ratelimit")))
    names = [f"{x}RateLimit-{part}" for x in ("", "X-") for part in ("Limit", "Remaining", "Reset")]
    assert list((await responses(app_of(throttle)))["429"]["headers"]) == ["Retry-After", *names]


class TestA503:
    @pytest.mark.parametrize(
        ("on_error", "told"), [("throttle", True), (lambda _: "allow", True), ("fallback", False), ("allow", False)]
    )
    async def test_it_is_added_for_a_store_that_may_answer_503(self, uid, on_error, told):
        store = RedisBackend("redis://127.0.0.1:1", on_error=on_error)
        app = app_of(HTTPThrottle(uid, "5/min", backend=store))
        assert ("503" in await responses(app)) is told

    async def test_it_is_added_for_the_store_of_the_application(self, uid):
        from traffik.backends import binding

        app = app_of(HTTPThrottle(uid, "5/min"))
        with binding.bound(RedisBackend("redis://127.0.0.1:1", on_error="throttle"), app, ()):
            assert "503" in await responses(app)

    async def test_it_is_left_out_if_the_store_is_not_known(self, uid):
        with InMemoryBackend(namespace="one"), InMemoryBackend(namespace="two"):
            assert "503" not in await responses(app_of(HTTPThrottle(uid, "5/min")))


def test_an_application_without_a_document_is_an_error():
    with pytest.raises(TypeError, match="only FastAPI has an OpenAPI document, not"):
        document_throttles(Starlette())


def test_the_document_is_extended_once(one):
    app = app_of(one)
    assert app.openapi() is app.openapi()
    assert app.openapi() == app.openapi_schema


async def test_throttles_that_decide_as_one_are_in_the_document(uid):
    both = AllOf(HTTPThrottle(f"{uid}-wide", "10/min"), HTTPThrottle(f"{uid}-narrow", "2/min"))
    paths = (await document_of(app_of(both)))["paths"]
    assert "429" in paths["/limited"]["get"]["responses"]
    assert "429" not in paths["/free"]["get"]["responses"]


async def test_an_upload_limit_has_a_429_where_requests_have_a_body(uid):
    app = app_of(middleware=[Middleware(UploadMiddleware, HTTPThrottle(uid, "64 MiB/min"))])
    app.post("/limited")(lambda: "in")
    assert (await responses(app, method="post"))["429"]["content"] == PROBLEM
    assert "429" not in await responses(app)
