"""The path and the route of a connection, before and after the router has run."""

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient

from traffik import Rule
from traffik.model.errors import ConfigurationError
from traffik_starlette import HTTPThrottle, ThrottleMiddleware
from traffik_starlette.routing import APP, path_of, route_of


async def endpoint(_):
    return PlainTextResponse("found")


async def file(scope, receive, send):
    await Response()(scope, receive, send)


INNER = Router([Route("/", endpoint), Route("/{id:int}", endpoint)])
ROUTES = [
    Route("/items/{id}", endpoint),
    Route("/items/{rest:path}", endpoint, methods=["POST"]),
    Mount("/in/{tenant}", routes=[Mount("/deep", INNER), Route("/{rest:path}", endpoint)]),
    Mount("/files", file),
    Host("api.example.org", Router([Route("/host", endpoint)])),
    WebSocketRoute("/items/{room}", endpoint),
]


def scope_of(path, *, kind="http", method="GET", host="example.org", app=None, **more):
    scope = {"type": kind, "path": path, "headers": [(b"host", host.encode())], "app": app or Starlette(routes=ROUTES)}
    return {**scope, "method": method, **more} if kind == "http" else {**scope, **more}


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/items/7", "/items/{id}"),
        ("/items/7\n", "/items/{id}"),
        ("/items/7/8", "/items/{rest:path}"),
        ("/in/acme/deep/", "/in/{tenant}/deep/"),
        ("/in/acme/deep/7", "/in/{tenant}/deep/{id:int}"),
        ("/in/acme/deep/x", None),
        ("/in/acme/x", "/in/{tenant}/{rest:path}"),
        ("/files/../x", "/files"),
        ("/host", None),
        ("/", None),
    ],
)
def test_the_route_is_the_whole_template_with_mounts(path, route):
    assert route_of(scope_of(path)) == route


def test_a_route_that_matches_in_full_comes_before_one_of_another_method():
    assert route_of(scope_of("/items/7", method="POST")) == "/items/{rest:path}"
    assert route_of(scope_of("/items/7", method="PUT")) == "/items/{id}"


def test_websockets_and_hosts_have_routes_too():
    assert route_of(scope_of("/items/7", kind="websocket")) == "/items/{room}"
    assert route_of(scope_of("/host", host="api.example.org")) == "/host"


@pytest.mark.parametrize("prefix", ["/proxy", "/proxy/", "/it", "/"])
@pytest.mark.parametrize("path", ["/items/7", "/proxy/items/7", "/proxy//items/7", "/proxy", "/it/items/7"])
def test_the_path_is_the_one_that_the_outermost_router_matches(prefix, path):
    seen = []
    app = Router([Mount("/items", lambda scope, *_: seen.append(path_of(scope)) or file(scope, *_))])
    scope = scope_of(path, app=app, root_path=prefix)
    before = path_of(scope), route_of(scope)
    TestClient(app, root_path=prefix).get(path, follow_redirects=False)
    assert before == (seen[0], "/items") if seen else before[1] is None


def test_a_route_is_found_with_and_without_the_prefix_of_a_proxy():
    for path in ("/items/7", "/proxy/items/7"):
        assert route_of(scope_of(path, root_path="/proxy")) == "/items/{id}"


def test_a_path_without_the_prefix_is_read_as_the_mounts_read_it():
    """A mount adds itself to the prefix, so its routes get the whole path again."""
    app = Starlette(routes=[Mount("/in", routes=[Route("/x", endpoint), Route("/in/x", endpoint)])])
    scopes = [scope_of(path, app=app, root_path="/proxy") for path in ("/proxy/in/x", "/in/x", "/in/y")]
    assert [path_of(scope) for scope in scopes] == ["/in/x", "/in/in/x", "/in/in/y"]
    assert [route_of(scope) for scope in scopes] == ["/in/x", "/in/in/x", None]
    assert TestClient(app, root_path="/proxy").get("/in/x").status_code == 200
    assert path_of({"type": "http", "path": "/in/x", "root_path": "/proxy"}) == "/in/x"


def test_a_middleware_around_an_application_finds_its_routes():
    scope = scope_of("/items/7")
    app = scope.pop("app")
    assert route_of({**scope, APP: ThrottleMiddleware(app)}) == "/items/{id}"
    with pytest.raises(ConfigurationError, match=r"the routes of the application are not known here"):
        route_of({**scope, APP: file})


def test_a_route_of_an_included_router_has_its_prefixes():
    inner, outer, app = APIRouter(prefix="/b"), APIRouter(prefix="/a/{x}"), FastAPI()
    inner.get("/c/{y}")(lambda: None)
    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    assert route_of(scope_of("/v1/a/7/b/c/8", app=app)) == "/v1/a/{x}/b/c/{y}"
    assert route_of(scope_of("/v1/a/7/b/c", app=app)) is None


def shut(uid):
    return HTTPThrottle(uid, "0/min", rules=Rule(route="/in/{id}/x"))


def statuses(app, **options):
    with TestClient(app, **options) as client:
        return [client.get(path).status_code for path in ("/in/7/x", "/in/7/y", "/in/7")]


def test_a_rule_by_route_works_in_middlewares_at_every_level(uid, backend):
    throttle, routes = shut(uid), [Route("/x", endpoint), Route("/y", endpoint)]
    guard = Middleware(ThrottleMiddleware, throttle)
    apps = [
        ThrottleMiddleware(Starlette(routes=[Mount("/in/{id}", routes=routes)]), throttle),
        Starlette(routes=[Mount("/in/{id}", routes=routes)], middleware=[guard]),
        Starlette(routes=[Mount("/in/{id}", Starlette(routes=routes, middleware=[guard]))]),
        Starlette(routes=[Mount("/in/{id}", routes=routes, middleware=[guard])]),
    ]
    assert [statuses(app) for app in apps] == [[429, 200, 404]] * 4


def test_a_rule_by_route_works_in_dependencies(uid, backend):
    app, inner = FastAPI(), FastAPI(dependencies=[Depends(shut(uid))])
    for path in ("/x", "/y"):
        inner.get(path)(lambda: None)
    app.mount("/in/{id}", inner)
    assert statuses(app) == [429, 200, 404]


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_a_root_path_set_in_fastapi_works_in_a_middleware_around_it(uid, backend):
    app = FastAPI(root_path="/proxy")
    app.get("/x")(lambda: None)
    guarded = ThrottleMiddleware(app, HTTPThrottle(uid, "0/min", rules=Rule("/x")))
    client = TestClient(guarded)
    assert [client.get(path).status_code for path in ("/x", "/proxy/x", "/y")] == [429, 429, 404]
