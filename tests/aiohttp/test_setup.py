"""`setup`: the store of a throttle in mounted applications and in several applications."""

import pytest
from aiohttp import web

from tests.aiohttp_server import calling, running, statuses
from traffik import BackendNotFoundError, ConfigurationError, HTTPThrottle, WebSocketThrottle, notices
from traffik.backends import binding
from traffik.backends.inmemory import InMemoryBackend
from traffik_aiohttp import BACKEND, THROTTLES, WebSocketConnection, setup, throttled

pytestmark = pytest.mark.anyio


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "1/min")


@pytest.fixture
async def other():
    """A second open store, so that throttles cannot pick the only one."""
    async with InMemoryBackend(namespace="other") as store:
        yield store


def app_of(throttle, backend=None, **mounted):
    """An application with one throttled route, its store, and others mounted in it."""

    async def handler(request):
        await throttle.hit(request)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    for prefix, inner in mounted.items():
        app.add_subapp(f"/{prefix}", inner)
    if backend is not None:
        setup(app, backend=backend)
    return app


async def test_an_application_has_its_store(throttle, other):
    store = InMemoryBackend()
    app = app_of(throttle, store)
    async with calling(app) as session:
        assert await statuses(session, "/", "/") == [200, 429]
        assert (app[BACKEND], store.keys, other.keys) == (store, 1, 0)
    assert store.keys == 0


async def test_a_mounted_application_uses_the_same_store_at_any_depth(throttle, other):
    store = InMemoryBackend()
    app = app_of(throttle, store, a=app_of(throttle, None, b=app_of(throttle)))
    async with calling(app) as session:
        assert await statuses(session, "/a/b/", "/a/", "/") == [200, 429, 429]
        assert (store.keys, other.keys) == (1, 0)


async def test_a_mounted_application_may_have_its_own_store(throttle):
    outer, middle = InMemoryBackend(), InMemoryBackend()
    app = app_of(throttle, outer, a=app_of(throttle, middle, b=app_of(throttle)))
    async with calling(app) as session:
        assert await statuses(session, "/a/b/", "/a/", "/", "/") == [200, 429, 200, 429]
        assert (outer.keys, middle.keys) == (1, 1)


async def test_a_websocket_finds_it_too(uid, other):
    store, inner, throttle = InMemoryBackend(), web.Application(), WebSocketThrottle(uid, "1/min")

    async def handler(request):
        ws = web.WebSocketResponse()
        await throttle.hit(WebSocketConnection(request, ws))
        await ws.prepare(request)
        return ws

    inner.router.add_get("/", handler)
    app = app_of(throttle, store, a=inner)
    async with calling(app) as session, session.ws_connect("/a/"):
        assert (store.keys, other.keys) == (1, 0)


async def test_several_applications_have_their_own_stores(throttle):
    stores = [InMemoryBackend(), InMemoryBackend()]
    one, two = [app_of(throttle, store) for store in stores]
    async with calling(one) as first, calling(two) as second:
        assert [await statuses(each, "/", "/") for each in (first, second)] == [[200, 429]] * 2
        assert [store.keys for store in stores] == [1, 1]


async def test_no_store_is_an_error_that_says_what_to_do(throttle, other, caplog):
    async with InMemoryBackend(namespace="mine"), calling(app_of(throttle)) as session:
        assert await statuses(session, "/") == [500]
    (record,) = caplog.records
    assert record.exc_info[0] is BackendNotFoundError
    assert "traffik_aiohttp.setup(app, backend=backend)" in str(record.exc_info[1])
    assert "lifespan" not in str(record.exc_info[1])


async def test_an_application_can_be_collected_after_its_cleanup(throttle):
    app = app_of(throttle, InMemoryBackend(), a=(inner := app_of(throttle)))
    async with running(app):
        assert binding.resolve(inner) is app[BACKEND]
    assert not {id(app), id(inner)} & (binding._own.keys() | binding._inherited.keys())


async def test_a_route_that_does_not_exist_is_an_error_at_the_start(throttle):
    app = app_of(throttle)
    setup(app, backend=InMemoryBackend(), routes={"/": throttle, "/nowhere": throttle})
    with pytest.raises(ConfigurationError, match=r"no route is called '/nowhere'.* there are '/', 'GET /'"):
        async with running(app):
            pass


def test_a_second_setup_is_an_error(throttle):
    app = web.Application()
    setup(app, throttle)
    assert app[THROTTLES] == (throttle,)
    with pytest.raises(ConfigurationError, match=r"^<Application> has been set up before"):
        setup(app)


def test_an_invalid_throttle_is_an_error_that_names_it():
    with pytest.raises(TypeError, match=r"takes throttles.*not '5/s'"):
        setup(web.Application(), "5/s")


async def test_setup_after_mounting_is_an_error_that_says_when_to_call_it(throttle):
    inner, outer = web.Application(), web.Application()
    outer.add_subapp("/inner", inner)
    with pytest.raises(ConfigurationError, match=r"mounted or running already: call setup\(app\) before add_subapp"):
        setup(inner, throttle)
    setup(outer, throttle)


class TestADecoratorAboveTheRoute:
    @pytest.fixture
    def app(self, throttle):
        routes = web.RouteTableDef()

        @throttled(throttle)
        @routes.get("/")
        async def handler(request): ...

        app = web.Application()
        app.add_routes(routes)
        return app

    async def test_is_reported_when_the_application_starts(self, app):
        setup(app)
        async with running(app):
            assert [notice.id for notice in notices.said()] == ["misplaced-decorator"]

    async def test_is_reported_in_a_mounted_application_too(self, app):
        outer = web.Application()
        outer.add_subapp("/in", app)
        async with InMemoryBackend().lifespan(outer):
            assert [notice.id for notice in notices.said()] == ["misplaced-decorator"]

    async def test_a_decorator_below_the_route_is_not_reported(self, throttle):
        app = web.Application()
        app.router.add_get("/", throttled(throttle)(plain_handler))
        setup(app)
        async with running(app):
            assert notices.said() == ()


async def plain_handler(request): ...


@pytest.mark.usefixtures("other")
async def test_two_handlers_with_one_name_have_a_quota_each():
    def handler_for(app):
        @throttled("1/min")
        async def handler(request):
            return web.Response()

        app.router.add_get(f"/{len(app.router.routes())}", handler)

    app = web.Application()
    handler_for(app)
    handler_for(app)
    async with calling(app) as session:
        assert await statuses(session, "/0", "/0", "/2", "/2") == [200, 429, 200, 429]
