"""What does a hit cost in a Django view, and a refusal?

An empty view, sync under WSGI and async under ASGI, called as a server calls it, with the middlewares of
`startproject`. It is compared with the same view with a hit in it, and with `ThrottleMiddleware` refusing in front of
all middlewares. Then the same without other middlewares. Django logs every response with a status of 400 or more, under
ASGI from another thread. A view that only answers 429 shows how long that takes.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from time import perf_counter_ns
from types import ModuleType
from typing import Any

import django
from decision import AMPLE, SPENT
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from measure import Result, Work, interleaved, judged
from request import scope_for

from traffik import HTTPThrottle

__all__ = ["TITLE", "measure"]

TITLE = "a Django view, to the same one empty"
ROUNDS, SYNC_CALLS, ASYNC_CALLS = 150, 50, 5
WARM = 10
OURS = ["traffik_django.middleware.ThrottleMiddleware"]
STARTPROJECT = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
APPS = ["auth", "contenttypes", "messages", "sessions"]

view_throttle = HTTPThrottle("django view", AMPLE)


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def hit(request: HttpRequest) -> HttpResponse:
    view_throttle.sync.hit(request)
    return HttpResponse("ok")


def bare_refusal(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no", status=429)


async def bare_refusal_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no", status=429)


async def bare_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


async def hit_async(request: HttpRequest) -> HttpResponse:
    await view_throttle.hit(request)
    return HttpResponse("ok")


def measure() -> list[Result]:
    """A view with a hit and without, under WSGI and ASGI."""
    if not settings.configured:
        apps = [*(f"django.contrib.{name}" for name in APPS), "traffik_django"]
        settings.configure(ALLOWED_HOSTS=["*"], DATABASES={}, SECRET_KEY="of a benchmark", INSTALLED_APPS=apps)
        django.setup()
    logging.getLogger("django.request").setLevel(logging.ERROR)
    return asyncio.run(_measure())


async def _measure() -> list[Result]:
    works: dict[str, Work] = {}
    for world, call, plain, throttled, refused in (
        ("sync", _wsgi, bare, hit, bare_refusal),
        ("async", _asgi, bare_async, hit_async, bare_refusal_async),
    ):
        works[f"{world} bare"] = call(plain, [], {}, 200)
        works[f"{world} hit"] = call(throttled, [], {}, 200)
        works[f"{world} project"] = call(plain, STARTPROJECT, {}, 200)
        works[f"{world} hit in project"] = call(throttled, STARTPROJECT, {}, 200)
        works[f"{world} refusal in project"] = call(plain, [*OURS, *STARTPROJECT], {"*": "spent"}, 429)
        works[f"{world} middleware"] = call(plain, OURS, {"*": "ample"}, 200)
        works[f"{world} refusal"] = call(plain, OURS, {"*": "spent"}, 429)
        works[f"{world} 429"] = call(refused, [], {}, 429)
    times = await interleaved(works, ROUNDS)
    results = []
    for world in ("sync", "async"):
        project, floor, spent = (times[f"{world} {name}"] for name in ("project", "bare", "refusal"))
        results += [
            judged(f"{world}: hit in the view", times[f"{world} hit in project"], project, 1.03),
            judged(f"{world}: refusal by the middleware", times[f"{world} refusal in project"], project, 1.0),
            judged(f"{world}, alone: hit in the view", times[f"{world} hit"], floor, None),
            judged(f"{world}, alone: hit and headers by the middleware", times[f"{world} middleware"], floor, None),
            judged(f"{world}, alone: refusal by the middleware", spent, floor, None),
            judged(f"{world}, alone: that, to a view that answers 429", spent, times[f"{world} 429"], None),
        ]
    return results


def _wsgi(view: Callable[..., Any], middleware: list[str], urls: dict[str, str], status: int) -> Work:
    settings_of, handler = _project(view, middleware, urls), WSGIHandler()

    async def work() -> float:
        with override_settings(**settings_of):
            statuses: list[str] = []
            for _ in range(WARM):  # the first request may spend the quota
                handler(_environ(), lambda answer, _: statuses.append(answer))
            assert statuses[-1].startswith(str(status)), statuses
            environs = [_environ() for _ in range(SYNC_CALLS)]
            start = perf_counter_ns()
            for environ in environs:
                handler(environ, _start_response).close()
            return (perf_counter_ns() - start) / SYNC_CALLS

    with override_settings(**settings_of):
        handler.load_middleware()
    return work


def _asgi(view: Callable[..., Any], middleware: list[str], urls: dict[str, str], status: int) -> Work:
    settings_of, handler = _project(view, middleware, urls), ASGIHandler()

    async def work() -> float:
        with override_settings(**settings_of):
            statuses: list[int] = []

            async def send(message: Any) -> None:
                statuses.append(message.get("status", 0))

            for _ in range(WARM):
                await handler(scope_for(), _receiver(), send)
            assert status in statuses[-2:], statuses
            scopes = [(scope_for(), _receiver()) for _ in range(ASYNC_CALLS)]
            start = perf_counter_ns()
            for scope, receive in scopes:
                await handler(scope, receive, _send)
            return (perf_counter_ns() - start) / ASYNC_CALLS

    with override_settings(**settings_of):
        handler.load_middleware(is_async=True)
    return work


def _project(view: Callable[..., Any], middleware: list[str], urls: dict[str, str]) -> dict[str, Any]:
    """The settings of a project with one view."""
    module = ModuleType("urls")
    module.urlpatterns = [path("", view)]  # type: ignore[attr-defined]  # a module made here
    throttles = {"ample": AMPLE, "spent": SPENT}
    return {"ROOT_URLCONF": module, "MIDDLEWARE": middleware, "TRAFFIK": {"THROTTLES": throttles, "URLS": urls}}


def _environ() -> dict[str, Any]:
    """The environ of a small GET request, as a WSGI server makes it."""
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_ACCEPT": "*/*",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }


def _start_response(status: str, headers: object) -> None:
    pass


def _receiver() -> Callable[[], Any]:
    """Returns an empty body, and then waits as a client does."""
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    return receive


async def _send(message: Any) -> None:
    pass
