"""Throttles in front of a whole application."""

from contextlib import aclosing

import anyio
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from tests.adapters.services import problem
from tests.callers import DENIAL, calling, converse, get, statuses
from traffik import BackendNotFoundError, HTTPThrottle, Rule, WebSocketThrottle, get_wait, is_throttled
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import ThrottleMiddleware, throttled

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


async def home(request):
    return PlainTextResponse("home")


HOME = [Route("/", home)]


def app_behind(throttles=(), routes=HOME, **options):
    return Starlette(routes=routes, middleware=[Middleware(ThrottleMiddleware, throttles=throttles, **options)])


def routed(throttle, cost=1):
    async def endpoint(request):
        await throttle.hit(request, cost)
        return PlainTextResponse("")

    return [Route("/", endpoint)]


def below(prefix, app):
    """The application on a server whose root path is the prefix that a proxy removes."""

    async def served(scope, receive, send):
        await app({**scope, "root_path": prefix}, receive, send)

    return served


class TestAnAdmittedRequest:
    async def test_it_has_the_headers_of_the_draft(self, uid):
        answer = await get(app_behind(HTTPThrottle(uid, "5/min")))
        assert (answer.status_code, answer.text) == (200, "home")
        assert answer.headers["RateLimit-Policy"] == f'"{uid}";q=5;w=60'
        assert answer.headers["RateLimit"] == f'"{uid}";r=4;t=60'

    async def test_it_has_those_of_throttles_inside(self, uid):
        outer, inner = HTTPThrottle(f"{uid}-o", "5/min"), HTTPThrottle(f"{uid}-i", "3/min")
        answer = await get(app_behind(outer, routes=routed(inner)))
        assert answer.headers["RateLimit-Policy"] == f'"{outer.uid}";q=5;w=60, "{inner.uid}";q=3;w=60'
        assert answer.headers["RateLimit"] == f'"{outer.uid}";r=4;t=60, "{inner.uid}";r=2;t=60'

    async def test_without_throttles_of_its_own_it_has_only_those_inside(self, uid):
        answer = await get(app_behind(routes=routed(HTTPThrottle(uid, "3/min"))))
        assert answer.headers["RateLimit"] == f'"{uid}";r=2;t=60'

    async def test_it_has_none_if_nothing_was_counted(self, uid):
        answer = await get(app_behind(routes=routed(HTTPThrottle(uid, "3/min"), cost=0)))
        assert not {"RateLimit", "RateLimit-Policy"} & set(answer.headers)

    async def test_it_has_none_if_they_are_switched_off(self, uid):
        answer = await get(app_behind(HTTPThrottle(uid, "3/min"), headers=False))
        assert "RateLimit" not in answer.headers

    @pytest.mark.parametrize("status", [404, 418])
    async def test_an_error_has_the_headers(self, uid, status):
        async def endpoint(request):
            raise HTTPException(status)

        answer = await get(app_behind(HTTPThrottle(uid, "3/min"), routes=[Route("/", endpoint)]))
        assert (answer.status_code, answer.headers["RateLimit"]) == (status, f'"{uid}";r=2;t=60')

    async def test_it_may_be_a_stream(self, uid):
        async def parts():
            for part in "abc":
                await anyio.lowlevel.checkpoint()
                yield part

        async def endpoint(request):
            return StreamingResponse(parts())

        answer = await get(app_behind(HTTPThrottle(uid, "3/min"), routes=[Route("/", endpoint)]))
        assert (answer.text, answer.headers["RateLimit"]) == ("abc", f'"{uid}";r=2;t=60')

    async def test_an_error_of_the_application_is_raised_unchanged(self, uid):
        async def endpoint(request):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await get(app_behind(HTTPThrottle(uid, "3/min"), routes=[Route("/", endpoint)]))


class TestARefusedRequest:
    async def test_it_does_not_reach_the_application(self, uid):
        calls = []

        async def endpoint(request):
            calls.append(request)
            return PlainTextResponse("")

        app = app_behind(HTTPThrottle(uid, "1/min"), routes=[Route("/", endpoint)])
        assert await statuses(app, "/", "/", "/nowhere") == [200, 429, 429]
        assert len(calls) == 1

    async def test_it_has_the_body_and_headers_of_every_rejection(self, uid):
        app = app_behind(HTTPThrottle(uid, "1/min"))
        refused = [await get(app) for _ in range(2)][1]
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.content == problem("Too many requests. Retry in 60 seconds.", uid)
        assert {name: refused.headers[name] for name in ("Retry-After", "RateLimit", "RateLimit-Policy")} == {
            "Retry-After": "60",
            "RateLimit": f'"{uid}";r=0;t=60',
            "RateLimit-Policy": f'"{uid}";q=1;w=60',
        }

    async def test_a_refusal_of_a_route_keeps_its_headers(self, uid):
        app = app_behind(routes=routed(HTTPThrottle(uid, "1/min")))
        refused = [await get(app) for _ in range(2)][1]
        assert refused.status_code == 429
        assert refused.headers.get_list("RateLimit-Policy") == [f'"{uid}";q=1;w=60']

    async def test_only_the_first_throttle_that_refuses_is_reported(self, uid):
        one, two = HTTPThrottle(f"{uid}-1", "1/min"), HTTPThrottle(f"{uid}-2", "5/min")
        app = app_behind([one, two])
        await statuses(app, "/", "/", "/")
        assert (await get(app_behind(two))).headers["RateLimit"] == f'"{two.uid}";r=3;t=60'


class TestAHandlerOfTheThrottle:
    async def test_if_it_returns_nothing_the_request_passes(self, uid):
        seen = []
        throttle = HTTPThrottle(uid, "0/min", handle_throttled=lambda _, decision: seen.append(decision.allowed))
        assert await statuses(app_behind(throttle), "/") == [200]
        assert seen == [False]

    async def test_may_raise_an_answer(self, uid):
        async def handle(request):
            raise HTTPException(503, "busy", {"X-Why": "limit"})

        answer = await get(app_behind(HTTPThrottle(uid, "0/min", handle_throttled=handle)))
        assert (answer.status_code, answer.json(), answer.headers["X-Why"]) == (503, {"detail": "busy"}, "limit")

    async def test_may_return_an_answer(self, uid):
        async def handle(request):
            return PlainTextResponse("busy", 503)

        answer = await get(app_behind(HTTPThrottle(uid, "0/min", handle_throttled=handle)))
        assert (answer.status_code, answer.text) == (503, "busy")

    async def test_may_fail(self, uid):
        throttle = HTTPThrottle(uid, "0/min", handle_throttled=lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await get(app_behind(throttle))


def raising(error):
    def function():
        raise error

    return function


class TestAFunctionOfTheThrottle:
    @pytest.mark.parametrize("options", ["identifier", "cost", "rules"])
    async def test_may_raise_an_answer(self, uid, options):
        function = raising(HTTPException(401, "who are you?", {"WWW-Authenticate": "Bearer"}))
        throttle = HTTPThrottle(uid, "5/min", **{options: Rule(when=function) if options == "rules" else function})
        answer = await get(app_behind(throttle))
        assert (answer.status_code, answer.json()) == (401, {"detail": "who are you?"})
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    async def test_may_raise_a_response_without_a_body(self, uid):
        throttle = HTTPThrottle(uid, "5/min", identifier=raising(HTTPException(204)))
        answer = await get(app_behind(throttle))
        assert (answer.status_code, answer.content) == (204, b"")

    async def test_that_closes_a_request_is_an_error(self, uid):
        throttle = HTTPThrottle(uid, "5/min", identifier=raising(WebSocketException(3000)))
        with pytest.raises(WebSocketException):
            await get(app_behind(throttle))

    @pytest.mark.parametrize("option", ["identifier", "handle_throttled"])
    async def test_may_close_a_websocket(self, uid, option):
        throttle = WebSocketThrottle(uid, "0/min", **{option: raising(WebSocketException(3000, "who are you?"))})
        (close,) = await converse(TestAWebSocket.app_behind(throttle), **DENIAL)
        assert close == {"type": "websocket.close", "code": 3000, "reason": "who are you?"}

    async def test_may_deny_a_websocket(self, uid):
        throttle = WebSocketThrottle(uid, "5/min", identifier=raising(HTTPException(401)))
        start, _ = await converse(TestAWebSocket.app_behind(throttle), **DENIAL)
        (close,) = await converse(TestAWebSocket.app_behind(throttle))
        assert (start["status"], close["code"]) == (401, 1008)


class TestAFunctionThatReadsTheBody:
    @staticmethod
    def app_behind(throttles):
        async def endpoint(request):
            return PlainTextResponse(await request.body())

        return app_behind(throttles, routes=[Route("/", endpoint, methods=["POST"])])

    @staticmethod
    async def post(app, content):
        with anyio.fail_after(5):
            async with calling(app) as caller:
                return await caller.post("/", content=content)

    @pytest.mark.parametrize("option", ["identifier", "cost", "rules", "handle_throttled"])
    async def test_the_application_still_gets_the_body(self, uid, option):
        async def function(request):
            return len(await request.body())

        options = {option: Rule(when=function) if option == "rules" else function}
        throttles = [HTTPThrottle(f"{uid}-{each}", "9/min", **options) for each in (1, 2)]
        throttles += [HTTPThrottle(uid, "0/min", handle_throttled=function)] * (option == "handle_throttled")
        assert (await self.post(self.app_behind(throttles), b"a body")).text == "a body"

    async def test_it_may_read_a_part_of_the_body(self, uid):
        async def identifier(request):
            async with aclosing(request.stream()) as parts:
                return (await anext(parts)).decode()

        async def parts():
            for part in (b"a", b"b", b"c"):
                yield part

        app = self.app_behind(HTTPThrottle(uid, "1/min", identifier=identifier))
        assert (await self.post(app, parts())).text == "abc"

    async def test_a_function_that_reads_nothing_changes_nothing(self, uid):
        given = []

        async def bare(scope, receive, send):
            given.append(receive)
            await PlainTextResponse("")(scope, receive, send)

        async def receive():
            raise AssertionError

        async def send(message):
            pass

        app = ThrottleMiddleware(bare, HTTPThrottle(uid, "1/min", identifier=lambda request: "all"))
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await app(scope, receive, send)
        assert given == [receive]


class TestAWebSocket:
    @staticmethod
    def app_behind(throttle):
        async def endpoint(websocket):
            await websocket.accept()

        return app_behind(throttle, routes=[WebSocketRoute("/", endpoint)])

    async def test_it_is_denied_with_a_status_if_the_server_supports_it(self, uid):
        app = self.app_behind(WebSocketThrottle(uid, "1/min"))
        (opened,), (start, body) = [await converse(app, **DENIAL) for _ in range(2)]
        assert (opened["type"], start["type"]) == ("websocket.accept", "websocket.http.response.start")
        assert (start["status"], dict(start["headers"])[b"retry-after"]) == (429, b"60")
        assert body["body"] == problem("Too many requests. Retry in 60 seconds.", uid)

    async def test_it_is_closed_if_the_server_cannot_send_a_status(self, uid):
        (close,) = await converse(self.app_behind(WebSocketThrottle(uid, "0/min")))
        assert (close["type"], close["code"]) == ("websocket.close", 1008)

    async def test_http_throttles_do_not_count_it(self, uid):
        (opened,) = await converse(self.app_behind(HTTPThrottle(uid, "0/min")))
        assert opened["type"] == "websocket.accept"

    async def test_it_is_denied_with_the_response_of_a_handler(self, uid):
        throttle = WebSocketThrottle(uid, "0/min", handle_throttled=lambda: PlainTextResponse("busy", 503))
        start, body = await converse(self.app_behind(throttle), **DENIAL)
        (close,) = await converse(self.app_behind(throttle))
        assert (start["status"], body["body"], close["type"]) == (503, b"busy", "websocket.close")

    async def test_it_is_admitted_if_the_handler_returns_nothing(self, uid):
        throttle = WebSocketThrottle(uid, "0/min", handle_throttled=lambda: None)
        (opened,) = await converse(self.app_behind(throttle))
        assert opened["type"] == "websocket.accept"


class TestCountedOnce:
    async def test_a_websocket_with_a_middleware_and_a_decorator(self, uid):
        throttle = WebSocketThrottle(uid, "1/min")

        @throttled(throttle)
        async def endpoint(websocket):
            await websocket.accept()

        app = app_behind(throttle, routes=[WebSocketRoute("/", endpoint)])
        assert [(await converse(app, **DENIAL))[0]["type"] for _ in range(2)] == [
            "websocket.accept",
            "websocket.http.response.start",
        ]

    async def test_but_each_message_of_a_websocket_is_counted(self, uid):
        lines = WebSocketThrottle(uid, "2/min")

        class Chat(WebSocketEndpoint):
            encoding = "text"

            @throttled(lines)
            async def on_receive(self, websocket, data):
                if not is_throttled(websocket):
                    await websocket.send_text(data)

        got = await converse(app_behind(routes=[WebSocketRoute("/", Chat)]), *"abc")
        assert [message["text"][:14] for message in got if message["type"] == "websocket.send"] == [
            "a",
            "b",
            '{"type":"rate_',
        ]

    async def test_with_nested_middlewares(self, uid):
        one, two = HTTPThrottle(f"{uid}-1", "5/min"), HTTPThrottle(f"{uid}-2", "5/min")
        inner = Mount("/in", routes=HOME, middleware=[Middleware(ThrottleMiddleware, throttles=[one, two])])
        answer = await get(app_behind(one, routes=[inner]), "/in/")
        assert answer.headers["RateLimit"] == f'"{one.uid}";r=4;t=60, "{two.uid}";r=4;t=60'

    async def test_the_inner_middleware_writes_headers_if_the_outer_does_not(self, uid):
        inner = Mount("/in", routes=HOME, middleware=[Middleware(ThrottleMiddleware)])
        answer = await get(app_behind(HTTPThrottle(uid, "5/min"), routes=[inner], headers=False), "/in/")
        assert answer.headers["RateLimit"] == f'"{uid}";r=4;t=60'


class TestThePlaceOfTheMiddleware:
    async def test_around_the_application_even_a_crash_has_the_headers(self, uid):
        async def endpoint(request):
            raise ZeroDivisionError

        app = ThrottleMiddleware(Starlette(routes=[Route("/", endpoint)]), HTTPThrottle(uid, "5/min"))
        async with calling(app, raising=False) as caller:
            answer = await caller.get("/")
        assert (answer.status_code, answer.headers["RateLimit"]) == (500, f'"{uid}";r=4;t=60')

    async def test_it_may_wrap_any_asgi_application(self, uid):
        async def bare(scope, receive, send):
            await PlainTextResponse("bare")(scope, receive, send)

        app = ThrottleMiddleware(bare, HTTPThrottle(uid, "1/min"))
        assert await statuses(app, "/", "/") == [200, 429]

    async def test_with_several_open_stores_a_wrapped_function_is_an_error(self, uid):
        app = ThrottleMiddleware(home, HTTPThrottle(uid, "1/min"))
        async with InMemoryBackend(namespace="another"):
            with pytest.raises(BackendNotFoundError, match=r"several stores are open: .*'another'"):
                await get(app)

    async def test_it_may_wrap_a_mounted_application(self, uid):
        guard = Middleware(ThrottleMiddleware, throttles=HTTPThrottle(uid, "1/min"))
        routes = [Mount("/in", routes=[Route("/", home)], middleware=[guard]), Route("/", home)]
        assert await statuses(Starlette(routes=routes), "/in/", "/in/", "/", "/") == [200, 429, 200, 200]

    @pytest.mark.parametrize("path", ["/login", "/v1/login"])
    async def test_a_prefix_of_a_proxy_is_not_part_of_the_path(self, uid, path):
        app = FastAPI()
        app.get("/login")(lambda: "in")
        app.add_middleware(ThrottleMiddleware, HTTPThrottle(uid, "0/min", rules=Rule("/login")))
        assert await statuses(below("/v1", app), path) == [429]

    async def test_a_prefix_of_a_mount_is_part_of_the_path(self, uid):
        inner = FastAPI()
        inner.get("/a", dependencies=[Depends(HTTPThrottle(uid, "0/min", rules=Rule("/in/*")))])(lambda: "in")
        app = FastAPI()
        app.mount("/in", inner)
        assert await statuses(below("/v1", app), "/v1/in/a") == [429]

    async def test_a_route_that_hits_the_same_throttle_counts_again(self, uid):
        throttle = HTTPThrottle(uid, "3/min")
        app = app_behind(throttle, routes=routed(throttle))
        first, second = [await get(app) for _ in range(2)]
        assert (first.status_code, first.headers["RateLimit"]) == (200, f'"{uid}";r=1;t=60')
        assert (second.status_code, second.headers["RateLimit"]) == (429, f'"{uid}";r=0;t=60')

    async def test_an_endpoint_sees_its_decision(self, uid):
        throttle = HTTPThrottle(uid, "0/min", handle_throttled=lambda: None)

        async def endpoint(request):
            return PlainTextResponse(f"{is_throttled(request)} {get_wait(request, throttle) > 0}")

        assert (await get(app_behind(throttle, routes=[Route("/", endpoint)]))).text == "True True"

    async def test_it_passes_the_lifespan_on(self):
        got = []

        async def lifespan_only(scope, receive, send):
            got.append((scope["type"], await receive()))

        async def receive():
            return {"type": "lifespan.startup"}

        await ThrottleMiddleware(lifespan_only)({"type": "lifespan"}, receive, None)
        assert got == [("lifespan", {"type": "lifespan.startup"})]


async def test_concurrent_requests_get_exactly_the_limit(uid):
    app = app_behind(HTTPThrottle(uid, "7/min"))
    answers = []

    async def ask(caller):
        answers.append((await caller.get("/")).status_code)

    async with calling(app) as caller, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask, caller)
    assert sorted(answers) == [200] * 7 + [429] * 13


def test_an_invalid_throttle_is_an_error_that_names_it():
    with pytest.raises(TypeError, match=r"takes throttles.*not '5/s'"):
        ThrottleMiddleware(None, "5/s")
