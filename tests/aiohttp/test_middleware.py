"""The middleware by route, and the headers on every response."""

import pytest
from aiohttp import WSServerHandshakeError, web
from yarl import URL

from tests.aiohttp_server import calling, statuses
from traffik import HTTPThrottle, Rule, WebSocketThrottle
from traffik_aiohttp import add_headers, setup, throttled, throttling

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


async def home(request):
    return web.Response(text="home")


def app_of(handler=home, **options):
    app = web.Application()
    app.router.add_route("*", "/", handler, name="home")
    setup(app, **options)
    return app


async def fields_of(app, path="/", method="GET"):
    async with calling(app) as session, session.request(method, path) as answer:
        return answer.status, answer.headers.getall("RateLimit", []), await answer.text()


def hitting(throttle):
    async def handler(request):
        await throttle.hit(request)
        return web.Response()

    return handler


class TestHeaders:
    async def test_admitted_requests_have_them(self, uid):
        assert await fields_of(app_of(throttles=HTTPThrottle(uid, "5/min"))) == (200, [f'"{uid}";r=4;t=60'], "home")

    async def test_they_name_every_throttle(self, uid):
        outer, inner = HTTPThrottle(f"{uid}-o", "5/min"), HTTPThrottle(f"{uid}-i", "3/min")
        _, fields, _ = await fields_of(app_of(hitting(inner), throttles=[outer]))
        assert fields == [f'"{outer.uid}";r=4;t=60', f'"{inner.uid}";r=2;t=60']

    @pytest.mark.parametrize("error", [web.HTTPNotFound, web.HTTPGone])
    async def test_errors_have_them(self, uid, error):
        async def handler(request):
            raise error

        status, fields, _ = await fields_of(app_of(handler, throttles=HTTPThrottle(uid, "5/min")))
        assert (status, fields) == (error.status_code, [f'"{uid}";r=4;t=60'])

    async def test_unhandled_exceptions_have_them(self, uid, caplog):
        async def handler(request):
            raise ZeroDivisionError

        status, fields, _ = await fields_of(app_of(handler, throttles=HTTPThrottle(uid, "5/min")))
        assert (status, fields) == (500, [f'"{uid}";r=4;t=60'])
        assert caplog.records[0].exc_info[0] is ZeroDivisionError

    async def test_requests_without_a_route_have_them(self, uid):
        app = app_of(throttles=HTTPThrottle(uid, "5/min"))
        assert (await fields_of(app, "/nowhere"))[:2] == (404, [f'"{uid}";r=4;t=60'])

    async def test_streams_have_them(self, uid):
        async def handler(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for part in (b"a", b"b"):
                await response.write(part)
            return response

        app = app_of(handler, throttles=HTTPThrottle(uid, "5/min"))
        assert await fields_of(app) == (200, [f'"{uid}";r=4;t=60'], "ab")

    async def test_a_hit_of_a_cloned_request_counts_for_them(self, uid):
        throttle = HTTPThrottle(uid, "5/min")

        async def handler(request):
            await throttle.hit(request.clone())
            return web.Response()

        assert (await fields_of(app_of(handler)))[1] == [f'"{uid}";r=4;t=60']

    async def test_they_may_be_switched_off(self, uid):
        assert (await fields_of(app_of(throttles=HTTPThrottle(uid, "5/min"), headers=False)))[1] == []

    async def test_they_are_missing_if_nothing_was_counted(self):
        assert (await fields_of(app_of()))[1] == []

    async def test_a_rejection_shows_all_throttles(self, uid):
        one, two = HTTPThrottle(f"{uid}-1", "5/min"), HTTPThrottle(f"{uid}-2", "1/min")
        async with calling(app_of(throttles=[one, two])) as session:
            answers = [await session.get("/") for _ in range(2)]
        assert answers[1].headers.getall("RateLimit") == [f'"{two.uid}";r=0;t=60, "{one.uid}";r=4;t=60']

    async def test_they_are_written_once_if_a_mounted_application_writes_them_too(self, uid):
        app = web.Application()
        app.add_subapp("/in", app_of(throttles=HTTPThrottle(uid, "5/min")))
        setup(app)
        assert (await fields_of(app, "/in/"))[1] == [f'"{uid}";r=4;t=60']


class TestByRoute:
    @pytest.mark.parametrize("name", ["home", "/", "* /"])
    async def test_a_route_is_found_by_its_name_and_by_its_path(self, uid, name):
        app = app_of(routes={name: HTTPThrottle(uid, "1/min")})
        app.router.add_get("/other", home)
        async with calling(app) as session:
            assert await statuses(session, "/", "/", "/other", "/nowhere") == [200, 429, 200, 404]

    async def test_the_path_is_that_of_the_route_and_not_of_the_request(self, uid):
        app = app_of(routes={"/items/{id}": HTTPThrottle(uid, "1/min")})
        app.router.add_get("/items/{id}", home)
        async with calling(app) as session:
            assert await statuses(session, "/items/1", "/items/2") == [200, 429]

    async def test_get_includes_head_and_no_other_method(self, uid):
        app = app_of(routes={"GET /x": HTTPThrottle(uid, "1/min")})
        app.router.add_get("/x", home)
        app.router.add_post("/x", home)
        async with calling(app) as session:
            answers = [(await session.request(method, "/x")).status for method in ("POST", "HEAD", "GET", "POST")]
        assert answers == [200, 200, 429, 200]

    async def test_a_mounted_route_has_its_whole_path(self, uid):
        app, inner = web.Application(), web.Application()
        inner.router.add_get("/x", home)
        app.add_subapp("/in", inner)
        setup(app, routes={"/in/x": [HTTPThrottle(uid, "1/min")]})
        async with calling(app) as session:
            assert await statuses(session, "/in/x", "/in/x") == [200, 429]

    async def test_the_throttles_of_every_route_are_hit_first(self, uid):
        outer, inner = HTTPThrottle(f"{uid}-o", "1/min"), HTTPThrottle(f"{uid}-i", "5/min")
        app = app_of(throttles=outer, routes={"/": inner})
        async with calling(app) as session:
            await statuses(session, "/", "/", "/")
            async with session.get("/") as answer:
                assert answer.headers["RateLimit"].startswith(f'"{outer.uid}"')


class TestAWebSocket:
    @staticmethod
    async def handler(request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        return ws

    async def test_its_handshake_has_the_headers(self, uid):
        app = app_of(self.handler, throttles=WebSocketThrottle(uid, "5/min"))
        async with calling(app) as session, session.ws_connect("/") as socket:
            assert socket._response.headers["RateLimit"] == f'"{uid}";r=4;t=60'

    @pytest.mark.parametrize("where", ["throttles", "routes"])
    @pytest.mark.parametrize("kind", [WebSocketThrottle, HTTPThrottle])
    async def test_http_and_websocket_throttles_deny_it(self, uid, kind, where):
        throttle = kind(uid, "0/min")
        app = app_of(self.handler, **{where: throttle if where == "throttles" else {"/": throttle}})
        async with calling(app) as session:
            with pytest.raises(WSServerHandshakeError) as denied:
                await session.ws_connect("/")
        assert denied.value.status == 429

    async def test_websocket_throttles_ignore_other_requests(self, uid):
        throttle = WebSocketThrottle(uid, "0/min")
        async with calling(app_of(throttles=throttle, routes={"/": throttle})) as session:
            assert await statuses(session, "/") == [200]


class TestCountedOnce:
    async def test_with_middlewares_routes_and_decorators(self, uid):
        throttle = HTTPThrottle(uid, "5/min")

        @throttled(throttle, cost=3)
        async def handler(request):
            return web.Response()

        inner = app_of(handler, throttles=throttle, routes={"home": throttle})
        app = web.Application()
        app.add_subapp("/in", inner)
        setup(app, throttle)
        assert (await fields_of(app, "/in/"))[1] == [f'"{uid}";r=4;t=60']

    async def test_with_a_view_and_its_method(self, uid):
        throttle = HTTPThrottle(uid, "5/min")

        @throttled(throttle)
        class Page(web.View):
            @throttled(throttle)
            async def get(self):
                return web.Response()

        assert (await fields_of(app_of(Page)))[1] == [f'"{uid}";r=4;t=60']


@pytest.mark.parametrize("path", ["/items/a", "/items/a%2Fb", "/items/a%2fb", "/items/%61", "/items/100%25"])
async def test_a_rule_gets_the_same_segments_as_the_router(uid, path):
    app = app_of(throttles=HTTPThrottle(uid, "0/min", rules=[Rule("/items/*")]))
    app.router.add_get("/items/{id}", home)
    async with calling(app) as session, session.get(URL(path, encoded=True)) as answer:
        assert answer.status == 429


async def test_a_client_cannot_pretend_to_open_a_websocket(uid):
    async with calling(app_of(throttles=HTTPThrottle(uid, "1/min"))) as session:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        answers = [(await session.get("/", headers=headers)).status for _ in range(2)]
    assert answers == [200, 429]


async def test_a_handler_that_returns_lets_the_request_pass(uid):
    throttle = HTTPThrottle(uid, "0/min", handle_throttled=lambda: None)
    assert (await fields_of(app_of(throttles=throttle)))[0] == 200


async def test_throttling_and_add_headers_work_without_setup(uid):
    app = web.Application(middlewares=[throttling(HTTPThrottle(uid, "5/min"))])
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", home)
    assert (await fields_of(app))[1] == [f'"{uid}";r=4;t=60']
