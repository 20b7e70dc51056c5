"""Applications called in process: bare ones, and requests as their servers make them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

from contestants.contestant import App

__all__ = ["KINDS", "Served", "bare_fastapi", "bare_starlette", "served"]

Outcome: TypeAlias = tuple[int, float | None]
"""The status of a response, and its Retry-After in seconds."""

KINDS = {
    "Starlette": "Starlette",
    "FastAPI": "FastAPI",
    "Django, sync": "Django",
    "Django, async": "Django",
    "aiohttp": "aiohttp",
}
"""The ways to call an application, and the framework of each."""


class Served(NamedTuple):
    """A running application.

    Attributes:
        request: ``request(client)``, made before the clock starts.
        answer: answers a request by the application, which is limited.
        bare: answers it by the same application without a limit.
    """

    request: Callable[[str], Any]
    answer: Callable[[Any], Any]
    bare: Callable[[Any], Any]


async def served(kind: str, app: App, limit: int, url: str | None) -> Served:
    """An application of a contestant that is ready for requests."""
    made = app(limit, url)
    if kind.startswith("Django"):
        return django(kind, made)
    if kind == "aiohttp":
        return await aiohttp(made)
    plain = bare_starlette() if kind == "Starlette" else bare_fastapi()
    await made.router.lifespan_context(made).__aenter__()
    return Served(asgi_request, asgi(made), asgi(plain))


def bare_starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def home(request: Any) -> Any:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/", home)])


def bare_fastapi() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/")
    async def home() -> str:
        return "ok"

    return app


def asgi_request(client: str, path: str = "/") -> tuple[Any, Any]:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"*/*")],
        "client": (client, 50_000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    return scope, receive


def asgi(app: Any) -> Callable[[Any], Any]:
    async def answer(request: tuple[Any, Any]) -> Outcome:
        found: list[Outcome] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                fields = ((name.decode(), value.decode()) for name, value in message.get("headers", ()))
                found.append(outcome(message["status"], fields))

        await app(*request, send)
        return found[0]

    return answer


def outcome(status: int, fields: Iterable[tuple[str, str]]) -> Outcome:
    if status == 200:
        return 200, 0.0
    waits = [float(value) for name, value in fields if name.lower() == "retry-after" and value.isdigit()]
    return status, waits[0] if waits else None


def django(kind: str, part: Any) -> Served:
    """A project with two views, one of them limited."""
    from django.conf import settings

    urls = ModuleType("urls")
    if not settings.configured:
        import django as package

        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="of a benchmark", ROOT_URLCONF=urls, **part.settings)
        package.setup()
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import path

    sync_decorator, async_decorator = part.decorators()
    if kind == "Django, sync":
        urls.urlpatterns = [path("", sync_decorator(view)), path("bare", view)]
    else:
        urls.urlpatterns = [path("", async_decorator(view_async)), path("bare", view_async)]
    override_settings(ROOT_URLCONF=urls).enable()
    if kind == "Django, sync":
        handler: Any = WSGIHandler()
        return Served(str, wsgi(handler, "/"), wsgi(handler, "/bare"))
    handler = ASGIHandler()
    return Served(lambda client: client, asgi_at(handler, "/"), asgi_at(handler, "/bare"))


def view(request: Any) -> Any:
    from django.http import HttpResponse

    return HttpResponse("ok")


async def view_async(request: Any) -> Any:
    from django.http import HttpResponse

    return HttpResponse("ok")


def asgi_at(handler: Any, path: str) -> Callable[[Any], Any]:
    answer_of = asgi(handler)
    return lambda client: answer_of(asgi_request(client, path))


def wsgi(handler: Any, path: str) -> Callable[[Any], Any]:
    async def answer(client: str) -> Outcome:
        found: list[Outcome] = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": client,
            "HTTP_HOST": "127.0.0.1:8000",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
        }
        handler(environ, lambda status, fields: found.append(outcome(int(status[:3]), fields))).close()
        return found[0]

    return answer


async def aiohttp(app: Any) -> Served:
    """The handlers of an application, called as `web.Application` calls them."""
    from aiohttp import HttpVersion11, web
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.http_writer import StreamWriter
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

    async def home(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    plain = web.Application()
    plain.router.add_get("/", home)
    for each in (app, plain):
        await web.AppRunner(each).setup()
    loop, rest = asyncio.get_running_loop(), None
    headers = CIMultiDictProxy(CIMultiDict({"Host": "127.0.0.1:8000", "Accept": "*/*"}))

    def request(client: str) -> Any:
        protocol: Any = SimpleNamespace(
            transport=None, ssl_context=None, peername=(client, 50_000), sockname=("127.0.0.1", 8000)
        )
        message = RawRequestMessage(
            "GET", "/", HttpVersion11, headers, (), False, None, upgrade=False, chunked=False, url=URL("/")
        )
        made: Any = web.Request(
            message, rest, protocol, StreamWriter(protocol, loop), rest, loop, client_max_size=1024**2
        )
        return made

    def answering(each: Any) -> Callable[[Any], Any]:
        async def answer(request: Any) -> Outcome:
            try:
                response = await each._handle(request)
            except web.HTTPException as refusal:
                response = refusal
            return outcome(response.status, response.headers.items())

        return answer

    return Served(request, answering(app), answering(plain))
