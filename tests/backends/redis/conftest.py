"""The fixtures of the tests of the Redis store. Tests with a service run on each server program that is installed.

A test that changes the configuration of a server starts one of its own, which takes 50 ms.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest

from tests.backends.redis.clusters import cluster
from tests.backends.redis.proxy import Proxy
from tests.backends.redis.sentinels import sentinel
from tests.backends.redis.servers import binaries, resolve, server, version
from tests.backends.redis.shared import Shared
from tests.backends.redis.ways import Shop, way_of
from traffik.backends.redis import Breaker, RedisBackend

PROGRAMS = binaries() or [None]  # without any, the tests that want a server fail, and not the collecting of all tests


def replicated_cluster(*, binary):
    return cluster(binary=binary, replicas=True)


@pytest.fixture
def anyio_backend():
    """A client of redis-py belongs to asyncio."""
    return "asyncio"


@pytest.fixture(params=PROGRAMS, ids=lambda binary: version(binary) if binary else "none")
def binary(request):
    """Each server program on this machine."""
    return request.param or resolve()


@pytest.fixture(scope="session")
def shared():
    """The servers that tests share."""
    with ExitStack() as stack:
        yield Shared(stack)


@pytest.fixture(scope="module", autouse=True)
def _no_key_stays_for_ever(shared):
    """After every module: no key without a time to live."""
    yield
    shared.check()


@pytest.fixture
def serving(shared, binary, request):
    """A service that is up and empty, by what makes it."""

    @contextmanager
    def serve(make):
        service = shared.get(make, binary)
        try:
            yield service
        finally:
            shared.clear(service, request.node.name)

    return serve


@pytest.fixture
def redis_server(serving):
    """A server, up and empty."""
    with serving(server) as one:
        yield one


@pytest.fixture
def sentinels(serving):
    """A primary with its replica under sentinels, settled and empty."""
    with serving(sentinel) as service:
        yield service


@pytest.fixture
def redis_cluster(serving):
    """A cluster of three primaries with a replica each, settled and empty."""
    with serving(replicated_cluster) as one:
        yield one


@pytest.fixture
def proxy(redis_server):
    """A proxy before `redis_server`, which behaves until it is told not to."""
    with Proxy(redis_server.port) as one:
        yield one


@pytest.fixture(params=["loop", "threads"])
def way(request):
    """Each way to use a store."""
    with way_of(request.param) as one:
        yield one


@pytest.fixture
def shop(proxy, way):
    """Makes a store behind the proxy, or at a URL, and a limiter on it; one that fails is soon tried again."""

    def shop(where=None, **options):
        breaker = options.pop("breaker", Breaker(recovery=0.05))
        store = RedisBackend(where or proxy.url, breaker=breaker, **options)
        way.open(store)
        return Shop(way, store)

    return shop
