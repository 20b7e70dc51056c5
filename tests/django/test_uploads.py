"""Uploads are counted in Django: in sync and async code, in forms, behind middlewares and in REST framework."""

import asyncio
import logging
from contextlib import ExitStack

import httpx
import pytest
from django.core import checks
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse, JsonResponse, UnreadablePostError
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response

from tests.servers import serve
from traffik_django import throttles
from traffik_django.asgi import get_asgi_application

UPLOADS = "traffik_django.uploads.UploadMiddleware"
LINES = ["traffik_django.middleware.ThrottleMiddleware", UPLOADS]
SPEND = f"{__name__}.spend"


def spend(get_response):
    """A middleware that consumes all but 200 bytes of the quota after the length was checked."""

    def middleware(request):
        throttles["up"].sync.decide(request, 800)
        return get_response(request)

    return middleware


def length(request):
    return JsonResponse(len(request.body), safe=False)


async def length_async(request):
    return length(request)


@pytest.fixture
def uploads(serve_urls, backend):
    """Makes a project with one view and an upload limit, and a client of it."""

    def start(view, *inside, client=Client, **options):
        traffik = {
            "STORE": backend,
            "THROTTLES": {"up": {"rate": "1000/min", **options}},
            "UPLOADS": "up",
            "UPLOAD_STEP": 10,
        }
        serve_urls(path("", view), middleware=[*LINES, *inside], TRAFFIK=traffik)
        return client()

    return start


def post(client, size):
    return client.post("/", bytes(size), content_type="application/octet-stream")


def used():
    return 1000 - throttles["up"].sync.stat(RequestFactory().get("/")).hits_remaining


class TestInSyncCode:
    def test_a_body_costs_its_bytes(self, uploads):
        client = uploads(length)
        answers = [post(client, size) for size in (600, 300, 200)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == ["r=400", "r=100", "r=100"]

    def test_a_form_with_files_costs_its_bytes(self, uploads):
        client = uploads(lambda request: HttpResponse(request.FILES["a"].size))
        answers = [client.post("/", {"a": SimpleUploadedFile("a", bytes(500))}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert (answers[0].content, 500 < used() < 1000) == (b"500", True)

    def test_a_body_that_the_view_does_not_read_costs_nothing(self, uploads):
        assert post(uploads(lambda _: HttpResponse()), 600).status_code == 200
        assert used() == 0

    def test_a_body_may_be_read_in_lines(self, uploads):
        client = uploads(lambda request: JsonResponse([len(line) for line in request], safe=False))
        answer = client.post("/", b"ab\nc\n" * 2, content_type="text/plain")
        assert (answer.json(), used()) == ([3, 2] * 2, 10)


class TestARefusalDuringTheBody:
    def test_the_view_is_stopped_and_no_error_is_reported(self, uploads, caplog):
        answer = post(uploads(length, SPEND), 600)
        assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
        assert [record.levelno for record in caplog.records if record.levelno > logging.WARNING] == []

    def test_the_view_cannot_replace_the_refusal(self, uploads):
        def swallow(request):
            with pytest.raises(UnreadablePostError):
                request.read()
            return HttpResponse()

        assert post(uploads(swallow, SPEND), 600).status_code == 429

    def test_the_check_of_csrf_tokens_is_stopped_too(self, uploads, caplog):
        client = uploads(length, SPEND, "django.middleware.csrf.CsrfViewMiddleware")
        client.handler.enforce_csrf_checks = True
        client.cookies["csrftoken"] = "x" * 32
        assert client.post("/", {"a": "x" * 600}).status_code == 429
        assert [record.levelno for record in caplog.records if record.levelno > logging.WARNING] == []

    def test_rest_framework_is_stopped_too(self, uploads):
        view = api_view(["POST"])(lambda request: Response(len(request.data)))
        client = uploads(view, SPEND)
        assert client.post("/", {"a": "x" * 600}, content_type="application/json").status_code == 429

    def test_a_handler_may_respond(self, uploads):
        client = uploads(length, SPEND, handle_throttled=lambda: HttpResponse("too large", status=413))
        assert post(client, 600).content == b"too large"

    def test_a_handler_may_raise(self, uploads):
        def refuse():
            raise PermissionDenied

        assert post(uploads(length, SPEND, handle_throttled=refuse), 600).status_code == 403


class TestInAsyncCode:
    def test_a_body_costs_its_bytes(self, uploads):
        client = uploads(length_async, client=AsyncClient)

        async def post_each():
            return [await post(client, size) for size in (600, 300, 200)]

        assert [answer.status_code for answer in asyncio.run(post_each())] == [200, 200, 429]
        assert used() == 900

    def test_a_handler_may_respond(self, uploads):
        respond = {"handle_throttled": lambda: HttpResponse("too large", status=413)}
        client = uploads(length_async, client=AsyncClient, **respond)
        assert asyncio.run(post(client, 1001)).content == b"too large"

    def test_sync_middleware_inside_works(self, uploads):
        client = uploads(length_async, SPEND, client=AsyncClient)
        assert asyncio.run(post(client, 600)).status_code == 429


def chunked(address, *sizes):
    """Post a body without a length; the response."""
    return httpx.post(f"http://{address}/", content=(bytes(size) for size in sizes))


class TestUnderAServer:
    @pytest.fixture(params=[ASGIHandler, get_asgi_application])
    def served(self, request, uploads):
        """Serves a view with Django's application, and with ours, which counts while Django receives the body."""
        with ExitStack() as stack:

            def start(view, **options):
                uploads(view, **options)
                return stack.enter_context(serve(request.param(), lifespan="off"))

            yield start

    def test_a_body_without_a_length_costs_its_bytes(self, served):
        address = served(length)
        answers = [chunked(address, *sizes) for sizes in [(300, 300), (100, 200), (50, 51)]]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["RateLimit"].split(";")[1] for answer in answers[:2]] == ["r=400", "r=100"]

    def test_a_handler_may_respond(self, served):
        address = served(length, handle_throttled=lambda: HttpResponse("too large", status=413))
        assert [chunked(address, size).status_code for size in (600, 600)] == [200, 413]

    def test_a_project_without_upload_limits_is_served(self, served, configured):
        address = served(length)
        configured(TRAFFIK={"STORE": None})
        assert chunked(address, 600).json() == 600

    def test_django_answers_a_request_that_it_refuses(self, served, configured):
        address = served(length)
        configured(DATA_UPLOAD_MAX_MEMORY_SIZE=500)
        assert chunked(address, 600).status_code == 400


class TestChecks:
    def found(self, configured, middleware=LINES, **traffik):
        configured(MIDDLEWARE=middleware, TRAFFIK={"THROTTLES": {"up": "1000/min"}, **traffik})
        return [(each.id, f"{each.msg} {each.hint}") for each in checks.run_checks(tags=["traffik"])]

    def test_one_name_or_several_are_accepted(self, configured):
        assert [self.found(configured, UPLOADS=names) for names in ("up", ["up"], [])] == [[]] * 3

    @pytest.mark.parametrize(
        ("traffik", "told"),
        [
            ({"UPLOADS": "ups"}, "TRAFFIK['UPLOADS'] names no throttle: 'ups'. Did you mean 'up'?"),
            ({"UPLOADS": "up", "UPLOAD_STEP": 0}, "step is at least 1 byte, not 0"),
        ],
    )
    def test_invalid_settings_are_found(self, configured, traffik, told):
        ((number, message),) = self.found(configured, **traffik)
        assert (number, told in message) == ("traffik.E013", True)

    def test_a_missing_middleware_is_found(self, configured):
        ((number, message),) = self.found(configured, LINES[:1], UPLOADS="up")
        assert (number, UPLOADS in message) == ("traffik.E014", True)
