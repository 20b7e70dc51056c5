"""Fixtures of the tests of the Redis store. Tests with a service run on each installed server program.

A test that changes the configuration of a server starts its own server, which takes 50 ms.
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

PROGRAMS = binaries() or [None]  # without a program, only the tests that need one fail


def replicated_cluster(*, binary):
    return cluster(binary=binary, replicas=True)


@pytest.fixture
def anyio_backend():
    """redis-py runs on asyncio only."""
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
    """After each module, assert that no key was left without a time to live."""
    yield
    shared.check()


@pytest.fixture
def serving(shared, binary, request):
    """Gets the service that a function makes, running and empty."""

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
    """A running, empty server."""
    with serving(server) as one:
        yield one


@pytest.fixture
def sentinels(serving):
    """A primary with a replica, watched by sentinels; settled and empty."""
    with serving(sentinel) as service:
        yield service


@pytest.fixture
def redis_cluster(serving):
    """A cluster of three primaries with one replica each; settled and empty."""
    with serving(replicated_cluster) as one:
        yield one


@pytest.fixture
def proxy(redis_server):
    """A proxy before `redis_server`, at first without faults."""
    with Proxy(redis_server.port) as one:
        yield one


@pytest.fixture(params=["loop", "threads"])
def way(request):
    """Each way to call a store: threads, and an event loop."""
    with way_of(request.param) as one:
        yield one


@pytest.fixture
def shop(proxy, way):
    """Makes a store behind the proxy, or at a URL, and a limiter on it. Its breaker closes again soon."""

    def shop(where=None, **options):
        breaker = options.pop("breaker", Breaker(recovery=0.05))
        options.setdefault("changes_within", None)  # its connection would be counted too
        store = RedisBackend(where or proxy.url, breaker=breaker, **options)
        way.open(store)
        return Shop(way, store)

    return shop
