"""`UploadMiddleware` in front of a Starlette or FastAPI application."""

import json
from contextlib import nullcontext
from typing import Annotated, NamedTuple

import pytest
from fastapi import Body, FastAPI
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from tests.callers import PEER, calling, converse
from traffik import EXEMPTED, HTTPThrottle, Rule, Throttled
from traffik_starlette import ThrottleMiddleware, UploadMiddleware

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


async def length(request):
    return PlainTextResponse(str(len(await request.body())))


def app_of(endpoint, throttles, **options):
    uploads = Middleware(UploadMiddleware, throttles, **options)
    return Starlette(routes=[Route("/", endpoint, methods=["POST"])], middleware=[uploads])


class Answer(NamedTuple):
    """The response to a client."""

    status: int
    headers: Headers
    body: bytes


async def post(app, *sizes, **scope):
    """Post a body in pieces, without a length; the response."""
    incoming = [{"type": "http.request", "body": bytes(size), "more_body": True} for size in sizes]
    incoming += [{"type": "http.request"}, {"type": "http.disconnect"}]
    got = []

    async def receive():
        return incoming.pop(0)

    async def send(message):
        got.append(message)

    head = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [], "client": (PEER, 5)}
    await app({**head, **scope}, receive, send)
    return Answer(got[0]["status"], Headers(raw=got[0]["headers"]), b"".join(each["body"] for each in got[1:]))


@pytest.fixture
def limit(uid):
    return HTTPThrottle(uid, "1000/min")


class TestAnEndpoint:
    async def test_it_cannot_replace_a_refusal(self, limit):
        async def swallow(request):
            try:
                await request.body()
            except Throttled as error:
                return PlainTextResponse(f"got {error}")

        answer = await post(app_of(swallow, limit), 600, 600)
        assert (answer.status, answer.headers["connection"]) == (429, "close")
        assert json.loads(answer.body)["violated-policies"] == [limit.uid]

    async def test_it_gets_no_bytes_after_a_refusal(self, limit):
        got = []

        async def insist(request):
            for _ in range(3):
                try:
                    got.append((await request.receive())["body"])
                except Throttled:
                    got.append(None)
            return PlainTextResponse("")

        assert (await post(app_of(insist, limit), 600, 600, 10)).status == 429
        assert got == [bytes(600), None, None]

    async def test_an_error_after_a_refusal_is_raised(self, limit):
        async def fail(request):
            try:
                await request.body()
            except Throttled:
                raise KeyError("of the endpoint") from None

        with pytest.raises(KeyError, match="of the endpoint"):
            await post(app_of(fail, limit), 1200)

    @pytest.mark.parametrize("others", [[], [KeyError()]])
    async def test_a_refusal_in_a_group_of_tasks_is_found(self, limit, others):
        async def grouped(scope, receive, send):
            try:
                await receive()
            except Throttled as error:
                raise ExceptionGroup("of tasks", [ExceptionGroup("of more", [error]), *others]) from None

        with pytest.raises(ExceptionGroup) if others else nullcontext():
            assert (await post(UploadMiddleware(grouped, limit), 1200)).status == 429

    async def test_a_refusal_cuts_a_response_that_has_begun(self, limit):
        async def echo(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            while True:
                await send({"type": "http.response.body", "body": (await receive())["body"], "more_body": True})

        with pytest.raises(Throttled):
            await post(UploadMiddleware(echo, limit), 600, 600)


class TestFastAPI:
    @pytest.fixture
    def app(self, limit):
        app = FastAPI()
        app.add_middleware(UploadMiddleware, limit)

        @app.post("/")
        async def length_of(text: Annotated[str, Body()]):
            return len(text)

        return app

    async def test_a_body_parsed_by_fastapi_is_counted(self, app, limit):
        async with calling(app) as client:
            answers = [await client.post("/", json="x" * 598) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert (answers[0].json(), answers[1].json()["title"]) == (598, "Quota Exceeded")

    async def test_a_refusal_stops_the_parser(self, app):
        assert (await post(app, 600, 600)).status == 429

    async def test_a_refusal_passes_a_middleware_that_is_a_function(self, app):
        @app.middleware("http")
        async def pass_on(request, call_next):
            return await call_next(request)

        assert (await post(app, 600, 600)).status == 429


class TestTheThrottle:
    async def test_it_may_have_rules_and_exempt_clients(self, uid):
        rules = [Rule("/", methods=["PUT"])]
        elsewhere = HTTPThrottle(f"{uid}-rules", "10/min", rules=rules)
        staff = HTTPThrottle(f"{uid}-staff", "10/min", identifier=lambda _: EXEMPTED)
        assert (await post(app_of(length, [elsewhere, staff]), 600, 600)).body == b"1200"

    @pytest.mark.parametrize("sizes", [(600, 600), (1200,)])
    async def test_its_handler_may_return_a_response(self, uid, sizes):
        throttle = HTTPThrottle(uid, "1000/min", handle_throttled=lambda: Response("too large", 413))
        answer = await post(app_of(length, throttle), *sizes)
        assert (answer.status, answer.body, answer.headers["connection"]) == (413, b"too large", "close")

    async def test_its_handler_may_raise_an_http_exception(self, uid):
        def refuse():
            raise HTTPException(413, "too large")

        answer = await post(app_of(length, HTTPThrottle(uid, "1000/min", handle_throttled=refuse)), 600, 600)
        assert (answer.status, answer.body) == (413, b'{"detail":"too large"}')

    async def test_may_fail(self, uid):
        def fail():
            raise KeyError("of the handler")

        async def swallow(request):
            with pytest.raises(KeyError):
                await request.body()
            return PlainTextResponse("")

        with pytest.raises(KeyError, match="of the handler"):
            await post(app_of(swallow, HTTPThrottle(uid, "1000/min", handle_throttled=fail)), 1200)

    async def test_its_handler_may_let_the_upload_continue(self, uid):
        throttle = HTTPThrottle(uid, "1000/min", handle_throttled=lambda: None)
        assert (await post(app_of(length, throttle), 600, 600)).body == b"1200"


async def test_a_middleware_outside_writes_the_headers(limit):
    app = app_of(length, limit)
    app.user_middleware.insert(0, Middleware(ThrottleMiddleware))
    admitted, refused = [await post(app, 300, 300) for _ in range(2)]
    assert admitted.headers["RateLimit"].startswith(f'"{limit.uid}";r=400;')
    assert (refused.status, len(refused.headers.getlist("RateLimit"))) == (429, 1)


async def test_http_2_gets_no_connection_header(limit):
    answer = await post(app_of(length, limit), 1200, http_version="2")
    assert (answer.status, "connection" in answer.headers) == (429, False)


async def test_websockets_are_not_counted(limit):
    async def endpoint(websocket):
        await websocket.accept()
        await websocket.send_text("hello")

    app = Starlette(routes=[WebSocketRoute("/", endpoint)], middleware=[Middleware(UploadMiddleware, limit)])
    assert (await converse(app))[1]["text"] == "hello"


def test_an_invalid_argument_is_an_error(limit):
    with pytest.raises(ValueError, match="step"):
        UploadMiddleware(length, limit, step=0)
    with pytest.raises(TypeError, match="HTTPThrottle"):
        UploadMiddleware(length, "1000/min")
