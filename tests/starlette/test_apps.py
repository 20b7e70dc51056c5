"""The store of a throttle in mounted applications, in several applications, and without an application."""

import gc
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakSet, ref

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.testclient import TestClient

from tests.callers import get, statuses
from tests.servers import serve
from traffik import BackendNotFoundError, HTTPThrottle
from traffik.backends import binding
from traffik.backends.inmemory import InMemoryBackend
from traffik_starlette import ThrottleMiddleware

pytestmark = pytest.mark.anyio


@pytest.fixture
def throttle(uid):
    return HTTPThrottle(uid, "1/min")


@pytest.fixture
async def other():
    """A second open store, so that throttles cannot pick the only one."""
    async with InMemoryBackend(namespace="other") as store:
        yield store


def throttled(throttle):
    async def endpoint(request):
        await throttle.hit(request)
        return PlainTextResponse("")

    return Route("/", endpoint)


@asynccontextmanager
async def running(*apps):
    """Run the lifespans of the applications."""
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield


class TestMounted:
    async def test_an_inner_application_uses_the_store_of_the_outer(self, throttle, other):
        store = InMemoryBackend()
        inner = Starlette(routes=[throttled(throttle)])
        app = Starlette(routes=[Mount("/in", inner)], lifespan=store.lifespan)
        async with running(app):
            assert await statuses(app, "/in/", "/in/") == [200, 429]
            assert (store.keys, other.keys) == (1, 0)

    async def test_an_application_two_levels_below_uses_it_too(self, throttle, other):
        store = InMemoryBackend()
        innermost = FastAPI(routes=[throttled(throttle)])
        inner = FastAPI()
        inner.mount("/b", innermost)
        app = FastAPI(lifespan=store.lifespan)
        app.mount("/a", inner)
        async with running(app):
            assert await statuses(app, "/a/b/", "/a/b/") == [200, 429]
            assert (store.keys, other.keys) == (1, 0)

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda inner: Mount("/", inner, middleware=[Middleware(ThrottleMiddleware)]),
            lambda inner: Mount("/", routes=[Mount("/", inner)]),
            lambda inner: Mount("/", Router([Mount("/", inner)])),
            lambda inner: Host("service", inner),
        ],
        ids=["with middleware", "in a mount", "in a router", "on a host"],
    )
    async def test_every_kind_of_mount_uses_the_store_of_the_outer(self, throttle, other, wrap):
        store = InMemoryBackend()
        app = Starlette(routes=[wrap(Starlette(routes=[throttled(throttle)]))], lifespan=store.lifespan)
        async with running(app):
            assert await statuses(app, "/", "/") == [200, 429]
            assert (store.keys, other.keys) == (1, 0)

    async def test_an_inner_application_may_have_its_own_store(self, throttle):
        outer_store, inner_store = InMemoryBackend(), InMemoryBackend()
        inner = Starlette(routes=[throttled(throttle)], lifespan=inner_store.lifespan)
        app = Starlette(routes=[Mount("/in", inner), throttled(throttle)], lifespan=outer_store.lifespan)
        async with running(app, inner):
            assert await statuses(app, "/in/", "/in/", "/", "/") == [200, 429, 200, 429]
            assert (inner_store.keys, outer_store.keys) == (1, 1)


class TestSeveralApplications:
    async def test_every_application_has_its_own_store(self, throttle):
        stores = [InMemoryBackend(), InMemoryBackend()]
        apps = [Starlette(routes=[throttled(throttle)], lifespan=store.lifespan) for store in stores]
        async with running(*apps):
            assert [await statuses(app, "/", "/") for app in apps] == [[200, 429]] * 2
            assert [store.keys for store in stores] == [1, 1]

    async def test_several_applications_may_share_one_store(self, throttle):
        store = InMemoryBackend()
        one, two = [Starlette(routes=[throttled(throttle)], lifespan=store.lifespan) for _ in range(2)]
        async with running(one):
            async with running(two):
                assert await statuses(two, "/") == [200]
            assert await statuses(one, "/") == [429]
        assert store.keys == 0

    async def test_a_throttle_with_its_own_store_uses_that(self, uid, other):
        own = InMemoryBackend()
        app = Starlette(
            routes=[throttled(HTTPThrottle(uid, "1/min", backend=own))], lifespan=InMemoryBackend().lifespan
        )
        async with running(app):
            assert await statuses(app, "/", "/") == [200, 429]
            assert (own.keys, other.keys) == (1, 0)


class TestTheLifespan:
    async def test_it_can_be_used_in_a_users_lifespan(self, throttle, other):
        store, events = InMemoryBackend(), []

        @asynccontextmanager
        async def lifespan(app):
            async with store.lifespan(app):
                events.append("up")
                yield {"greeting": "hello"}
                events.append("down")

        app = Starlette(routes=[throttled(throttle)], lifespan=lifespan)
        async with running(app):
            assert await statuses(app, "/", "/") == [200, 429]
        assert (events, other.keys) == (["up", "down"], 0)

    def test_the_state_of_a_users_lifespan_is_kept(self, throttle):
        store = InMemoryBackend()

        @asynccontextmanager
        async def lifespan(app):
            async with store.lifespan(app):
                yield {"greeting": "hello"}

        app = Starlette(routes=[Route("/", lambda request: JSONResponse(request.state.greeting))], lifespan=lifespan)
        with serve(app) as address:
            assert httpx.get(f"http://{address}/").json() == "hello"

    async def test_of_two_the_inner_store_is_used_until_it_ends(self, throttle):
        app, one, two = Starlette(routes=[throttled(throttle)]), InMemoryBackend(), InMemoryBackend()
        async with one.lifespan(app):
            async with two.lifespan(app):
                assert await statuses(app, "/", "/") == [200, 429]
                assert (one.keys, two.keys) == (0, 1)
            assert await statuses(app, "/") == [200]
            assert one.keys == 1

    async def test_it_does_not_keep_applications_alive(self):
        app = Starlette(routes=[Mount("/in", inner := Starlette())], lifespan=InMemoryBackend().lifespan)
        async with running(app):
            pass
        apps = [ref(app), ref(inner)]
        del app, inner
        gc.collect()
        assert [app() for app in apps] == [None, None]

    def test_it_works_with_the_test_client(self, throttle):
        app = FastAPI(lifespan=InMemoryBackend().lifespan, routes=[throttled(throttle)])
        with TestClient(app) as client:
            assert [client.get("/").status_code for _ in range(2)] == [200, 429]
        with TestClient(app, backend="trio") as client:
            assert [client.get("/").status_code for _ in range(2)] == [200, 429]

    async def test_it_is_optional_if_there_is_one_store(self, throttle, monkeypatch):
        store = InMemoryBackend()
        monkeypatch.setattr(binding, "_made", WeakSet([store]))
        assert await statuses(Starlette(routes=[throttled(throttle)]), "/", "/") == [200, 429]


class TestNoStore:
    async def test_it_is_an_error_that_says_what_to_do(self, throttle, monkeypatch):
        monkeypatch.setattr(binding, "_made", WeakSet())
        with pytest.raises(BackendNotFoundError, match=r"lifespan=backend\.lifespan"):
            await get(Starlette(routes=[throttled(throttle)]))

    async def test_several_stores_without_a_choice_are_an_error_that_lists_them(self, throttle, other):
        async with InMemoryBackend(namespace="mine"):
            with pytest.raises(BackendNotFoundError, match="'mine'") as caught:
                await get(Starlette(routes=[throttled(throttle)]))
        assert "'other'" in str(caught.value)

    async def test_an_application_that_was_not_started_is_an_error_that_says_so(self, throttle, monkeypatch):
        stores = InMemoryBackend(), InMemoryBackend()
        monkeypatch.setattr(binding, "_made", WeakSet(stores))
        app = Starlette(routes=[throttled(throttle)], lifespan=stores[0].lifespan)
        with pytest.raises(BackendNotFoundError, match=r"none of them is open: .* with TestClient\(app\) as client:"):
            TestClient(app).get("/")

    async def test_a_hit_of_cost_0_needs_no_store(self, throttle, monkeypatch):
        monkeypatch.setattr(binding, "_made", WeakSet())
        app = FastAPI()

        @app.get("/")
        async def endpoint(request: Request):
            await throttle.hit(request, cost=0)

        assert await statuses(app, "/") == [200]
