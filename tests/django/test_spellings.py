"""Other spellings of a path do not escape a limit on a real server: views, files, and WebSockets of Channels."""

import inspect
from contextlib import closing

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.utils.decorators import sync_and_async_middleware
from django.views.static import serve as serve_file

from tests.servers import serve
from tests.spellings import Resource, check, limits_in, make_files
from tests.wsgi_server import serve_by_threads
from traffik_django.adapter import http
from traffik_django.consumers import consumer

STATIC = r"^assets/(?P<path>.*)$"
ROUTES = [
    Resource("items", "/api/items", "/api/items", "/api/items", "api/items"),
    Resource("orders", "/users/é 7/orders/", "/users/*/orders", r"/users/[^/]*/orders/", "users/<str:id>/orders/"),
    Resource("script", "/items/a.js", "/items/*.js", r"/items/.*\.js", r"^items/(?P<name>[^/]+)\.js$"),
    Resource("item", "/numbers/7", "/numbers/*", r"/numbers/\d+", r"^(?:numbers/(?P<id>[0-9]+)$)"),
    Resource("text", "/text/a/b", "/text/**", r"/text/.*", "text/<path:rest>"),
    Resource("inner", "/in/x", "/in/x", "/in/x", "in/x"),
    Resource("inner item", "/in/x/7", "/in/x/*", "/in/x/[^/]+", "in/x/<slug:id>"),
]
FILES = [
    Resource("zip", "/assets/big.zip", "/assets/*.zip", r"/assets/[^/]*\.zip", STATIC),
    Resource("sub", "/assets/sub/f.txt", "/assets/sub/f.txt", r"/assets/sub/f\.txt", STATIC),
    Resource("deep", "/assets/sub/deep/g.txt", "/assets/sub/deep/**", "/assets/sub/deep/.*", STATIC),
]
SOCKETS = [
    Resource("chat", "/chat/7", "/chat/*", "/chat/.+", None, websocket=True),
    Resource("feed", "/feed/a/", "/feed/*", r"/feed/\w+/", None, websocket=True),
]


@pytest.fixture
def project(serve_urls, tmp_path, backend):
    """A project that has a view for each route and serves files."""
    by_path = [path(each.route, view_of(each.name)) for each in (*ROUTES[:2], ROUTES[4])]
    by_expression = [re_path(each.route, view_of(each.name)) for each in ROUTES[2:4]]
    inner = [path("x", view_of("inner")), path("x/<slug:id>", view_of("inner item"))]
    files = re_path(STATIC, file, {"document_root": make_files(tmp_path)})
    throttles = {each.uid: each for resource in (*ROUTES, *FILES) for each in resource.throttles()}
    names = {f"throttle-{place}": each for place, each in enumerate(throttles.values())}
    middleware = [f"{__name__}.tell", "traffik_django.middleware.ThrottleMiddleware"]
    settings = {"STORE": backend, "THROTTLES": names, "URLS": {"*": list(names)}, "HEADERS": False}
    serve_urls(*by_path, *by_expression, path("in/", include(inner)), files, middleware=middleware, TRAFFIK=settings)


def file(request, **options):
    """Serves a static file. Its content is in a header, since sync streams cause warnings under ASGI."""
    with closing(serve_file(request, **options)) as response:
        return HttpResponse(headers={"x-reached": b"".join(response).decode()})


def view_of(name):
    return lambda request, **_: HttpResponse(headers={"x-reached": name})


@sync_and_async_middleware
def tell(get_response):
    def told(request, response):
        response["x-limits"] = limits_in(http.memory(request))
        return response

    if not inspect.iscoroutinefunction(get_response):
        return lambda request: told(request, get_response(request))

    async def middleware(request):
        return told(request, await get_response(request))

    return middleware


def socket(name):
    throttles = [throttle for each in SOCKETS for throttle in each.throttles()]

    class Consumer(AsyncWebsocketConsumer):
        async def connect(self):
            for throttle in throttles:
                await throttle.decide(self)
            fields = {"x-reached": name, "x-limits": limits_in(consumer.memory(self))}
            await self.accept(headers=[(key.encode(), value.encode()) for key, value in fields.items()])

    return Consumer.as_asgi()


def test_other_spellings_do_not_escape_a_limit_under_wsgi(project):
    with serve_by_threads(WSGIHandler()) as address:
        check(address, [*ROUTES, *FILES])


@pytest.mark.parametrize("prefix", ["", "/proxy"])
def test_other_spellings_do_not_escape_a_limit_under_asgi(prefix, project):
    sockets = URLRouter([path("chat/<str:room>", socket("chat")), re_path(r"^feed/(?P<room>\w+)/$", socket("feed"))])
    app = ProtocolTypeRouter({"http": ASGIHandler(), "websocket": sockets})

    async def behind_a_proxy(scope, receive, send):
        await app({**scope, "root_path": prefix}, receive, send)

    with serve(behind_a_proxy, lifespan="off", log_level="critical") as address:
        check(address, [*ROUTES, *FILES, *SOCKETS], opened=["chat", "feed"])
