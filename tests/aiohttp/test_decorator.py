"""`@throttled`: handlers, methods of views, and whole views."""

import functools

import pytest
from aiohttp import web

from tests.aiohttp_server import calling, statuses
from traffik import HTTPThrottle
from traffik.limits import uids
from traffik_aiohttp import throttled

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("backend")]


def app_of(handler):
    app = web.Application()
    app.router.add_route("*", "/", handler)
    return app


async def answers(handler, *methods):
    async with calling(app_of(handler)) as session:
        return [(await session.request(method, "/")).status for method in methods]


async def test_a_handler_can_be_decorated(uid):
    @throttled("1/min", uid=uid)
    async def handler(request):
        return web.Response()

    assert await answers(handler, "GET", "GET") == [200, 429]


async def test_several_throttles_are_hit_in_order_and_with_a_cost(uid):
    one, two = HTTPThrottle(f"{uid}-1", "5/min"), HTTPThrottle(f"{uid}-2", "3/min")

    @throttled(one, two, cost=2, context={"scope": "a"})
    async def handler(request):
        return web.json_response([(await each.stat(request, {"scope": "a"})).hits_remaining for each in (one, two)])

    async with calling(app_of(handler)) as session:
        assert await (await session.get("/")).json() == [3, 1]
        assert await statuses(session, "/", "/") == [429, 429]


async def test_a_method_of_a_view_can_be_decorated(uid):
    class Reports(web.View):
        async def get(self):
            return web.Response()

        @throttled("1/min", uid=uid)
        async def post(self):
            return web.Response()

    assert await answers(Reports, "POST", "POST", "GET", "GET") == [200, 429, 200, 200]


async def test_a_whole_view_can_be_decorated(uid):
    @throttled("2/min", uid=uid)
    class Reports(web.View):
        async def get(self):
            return web.Response()

        async def post(self):
            return web.Response()

    assert await answers(Reports, "POST", "GET", "GET", "PUT") == [200, 200, 429, 429]


async def test_a_method_of_another_object_can_be_decorated(uid):
    class Service:
        @throttled("1/min", uid=uid)
        async def index(self, request):
            return web.Response()

    assert await answers(Service().index, "GET", "GET") == [200, 429]


async def test_a_partial_and_a_keyword_request_work(uid):
    throttle = HTTPThrottle(uid, "1/min")

    async def handler(answer, *, request):
        return web.Response(text=answer)

    guarded = throttled(throttle)(functools.partial(handler, "hello"))

    async def by_name(request):
        return await guarded(request=request)

    assert await answers(by_name, "GET", "GET") == [200, 429]


async def named(request):
    return web.Response()


def test_a_new_throttle_has_the_dotted_name_as_uid():
    guarded = throttled("1/min")(named)
    assert guarded.__name__ == "named"
    assert uids.holder(f"{named.__module__}.named") is not None


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "at least one"),
        ((5,), {}, "throttles or rates"),
        ((HTTPThrottle("decorated-without-rate", "1/min"),), {"strategy": None}, "strategy: options are for rates"),
    ],
)
def test_invalid_arguments_are_an_error_that_names_them(arguments, options, message):
    with pytest.raises(TypeError, match=message):
        throttled(*arguments, **options)


def test_a_function_that_is_not_async_is_an_error_that_names_it():
    with pytest.raises(TypeError, match="async handlers and for views"):
        throttled("1/min")(lambda request: None)


def test_an_object_without_a_name_needs_a_uid():
    with pytest.raises(TypeError, match="has no name"):
        throttled("1/min")(functools.partial(named))


async def test_a_call_without_a_request_is_an_error(uid):
    with pytest.raises(TypeError, match="called with a request"):
        await throttled("1/min", uid=uid)(named)("no request")
