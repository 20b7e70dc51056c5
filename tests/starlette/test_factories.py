"""Applications made by a factory, and modules that are loaded again: one uid with another rate."""

import gc
import importlib
import sys
import weakref

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from traffik import DuplicateUidError, Rule, group
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import groups
from traffik_starlette import HTTPThrottle, ThrottleMiddleware, document_throttles, throttled

MODULE = """
from fastapi import Depends, FastAPI
from traffik import HTTPThrottle
from traffik.backends.inmemory import InMemoryBackend

app = FastAPI(lifespan=InMemoryBackend().lifespan)
data = HTTPThrottle("reloaded", "{}/min", identifier=lambda request: "one")

@app.get("/", dependencies=[Depends(data)])
async def index() -> str:
    return "hello"
"""


def create_app(rate, store=None):
    app = FastAPI(lifespan=(InMemoryBackend() if store is None else store).lifespan)
    throttle = HTTPThrottle("factory", rate)
    app.add_middleware(ThrottleMiddleware, throttles=HTTPThrottle("factory:all", "9/min"))
    document_throttles(app)

    @app.get("/", dependencies=[Depends(throttle)])
    async def index() -> str:
        return "hello"

    @app.get("/decorated")
    @throttled("9/min", uid="factory:decorated")
    async def decorated() -> str:
        return "hello"

    app.state.throttle = throttle
    return app


def admitted(client):
    return [client.get("/").status_code for _ in range(4)].count(200)


def test_each_application_has_the_rate_it_was_given():
    one, two = create_app("1/min"), create_app("3/min")
    for _ in range(2):
        with TestClient(one) as client:
            assert admitted(client) == 1
        with TestClient(two) as client:
            assert admitted(client) == 3


def test_applications_that_run_at_once_have_their_own_rates():
    with TestClient(create_app("1/min")) as one, TestClient(create_app("3/min")) as two:
        assert (admitted(one), admitted(two)) == (1, 3)


def test_in_one_store_the_second_definition_is_an_error():
    store = InMemoryBackend()
    with TestClient(create_app("1/min", store)) as one, TestClient(create_app("3/min", store)) as two:
        assert admitted(one) == 1
        with pytest.raises(DuplicateUidError, match="test_factories"):
            two.get("/")


def starlette_app():
    throttles = [HTTPThrottle(f"factory:{name}", "1/min", identifier=lambda request: "one") for name in "abc"]

    @throttled(throttles[0])
    async def index(request):
        await throttles[1].hit(request)
        return PlainTextResponse("hello")

    middleware = [Middleware(ThrottleMiddleware, throttles=throttles[2])]
    app = Starlette(routes=[Route("/", index)], lifespan=InMemoryBackend().lifespan, middleware=middleware)
    return app, [weakref.ref(throttle) for throttle in throttles]


# FastAPI itself keeps the dependencies of the latest applications in caches.
@pytest.mark.parametrize("said", [None, "factory*"])
def test_a_deleted_application_leaves_no_throttle(said):
    app, throttles = starlette_app()
    if said is not None:
        group(said).add_rule(Rule("/"))
    with TestClient(app) as client:
        assert admitted(client) == 1
    del app, client
    gc.collect()
    groups.forget_groups()
    assert [each() for each in throttles] == [None] * 3


@pytest.mark.parametrize("old_lives_on", [True, False])
def test_a_module_that_is_loaded_again_has_the_new_rate(old_lives_on, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    old = []
    for rate in (1, 3):
        (tmp_path / "reloaded_service.py").write_text(MODULE.format(rate))
        name = sys.modules.get("reloaded_service")
        module = importlib.reload(name) if name else importlib.import_module("reloaded_service")
        with TestClient(module.app) as client:
            assert admitted(client) == rate
        old += [module.app] * old_lives_on
    del sys.modules["reloaded_service"]
