"""Exact limits under load, over real connections: WSGI on the threads of waitress, ASGI on uvicorn."""

from contextlib import contextmanager

import anyio
import httpx
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.servers import serve
from tests.wsgi_server import serve_by_threads
from traffik import HTTPThrottle
from traffik_django import throttled, throttles
from traffik_django.drf import RateThrottle

REQUESTS, LIMIT, AT_ONCE = 72, 30, 25

TRAFFIK = {"THROTTLES": {"all": f"{LIMIT}/day"}}


@contextmanager
def serve_asgi():
    with serve(ASGIHandler(), lifespan="off") as address:
        yield address


async def ask_at_once(address, *paths):
    """Send requests concurrently; the sorted statuses."""
    answers = []

    async def ask(caller, path):
        answers.append((await caller.get(f"http://{address}{path}", timeout=30)).status_code)

    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits) as caller, anyio.create_task_group() as group:
        for number in range(REQUESTS):
            group.start_soon(ask, caller, paths[number % len(paths)])
    return sorted(answers)


def view(request):
    throttles["all"].sync.hit(request)
    return HttpResponse()


async def aview(request):
    await throttles["all"].hit(request)
    return HttpResponse()


VIEWS = [path("sync", view), path("async", aview), path("decorated", throttled("all")(lambda _: HttpResponse()))]


@pytest.mark.parametrize("serving", [lambda: serve_by_threads(WSGIHandler()), serve_asgi], ids=["WSGI", "ASGI"])
class TestUnderLoad:
    def test_views_get_exactly_the_limit(self, serving, serve_urls):
        serve_urls(*VIEWS, TRAFFIK=TRAFFIK)
        with serving() as address:
            answers = anyio.run(ask_at_once, address, "/sync", "/async", "/decorated")
        assert answers == [200] * LIMIT + [429] * (REQUESTS - LIMIT)

    def test_the_middleware_admits_exactly_the_limit(self, serving, serve_urls):
        ok = [path("", lambda _: HttpResponse())]
        serve_urls(*ok, TRAFFIK={**TRAFFIK, "URLS": {"*": "all"}})
        with serving() as address:
            answers = anyio.run(ask_at_once, address, "/")
        assert answers == [200] * LIMIT + [429] * (REQUESTS - LIMIT)

    def test_a_throttle_of_the_core_uses_the_store_of_the_project(self, serving, serve_urls, uid):
        throttle = HTTPThrottle(uid, f"{LIMIT}/day")

        @throttled(throttle)
        def ok(request):
            return HttpResponse()

        serve_urls(path("", ok), TRAFFIK={})
        with serving() as address:
            answers = anyio.run(ask_at_once, address, "/")
        assert answers == [200] * LIMIT + [429] * (REQUESTS - LIMIT)

    def test_rest_framework_admits_exactly_the_limit(self, serving, serve_urls):
        class Views(APIView):
            throttle_classes = (type("Loaded", (RateThrottle,), {"rate": f"{LIMIT}/day"}),)

            def get(self, request):
                return Response([])

        serve_urls(path("", Views.as_view()), TRAFFIK={})
        with serving() as address:
            answers = anyio.run(ask_at_once, address, "/")
        assert answers == [200] * LIMIT + [429] * (REQUESTS - LIMIT)
