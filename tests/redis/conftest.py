"""Servers that tests share: each is started when it is first asked for, and is as new for every test.

A test that changes the configuration of a server starts one of its own, which takes 50 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.redis.proxy import Proxy
from tests.redis.servers import Server, binaries, resolve, server, version

PROGRAMS = binaries() or [None]  # without any, the tests that want a server fail, and not the collecting of all tests


class Shared:
    """The servers of this session, one for each program, and what tests have left in them."""

    def __init__(self, stack: ExitStack) -> None:
        self.strays: dict[str, list[str]] = {}
        self._servers: dict[Path, Server] = {}
        self._stack = stack

    def get(self, binary: Path) -> Server:
        """The server of a program, up and empty."""
        if binary not in self._servers:
            self._servers[binary] = self._stack.enter_context(server(binary=binary))
        one = self._servers[binary]
        self.clear(one)
        return one

    def clear(self, one: Server, test: str = "fixtures") -> None:
        """Make a server as new, whatever a test has done to it; note which keys would have stayed for ever."""
        if not one.alive:
            one.restart()
        one.cont()
        one.command("CLIENT", "UNPAUSE")
        if immortals := one.immortals():
            self.strays.setdefault(test, []).extend(immortals)
        one.command("FLUSHALL")
        one.command("SCRIPT", "FLUSH")

    def check(self) -> None:
        """No test has left a key without a time to live, in any server."""
        for one in self._servers.values():
            self.clear(one)
        strays, self.strays = self.strays, {}
        assert strays == {}, "keys without a time to live"


@pytest.fixture(scope="session")
def shared() -> Iterator[Shared]:
    with ExitStack() as stack:
        yield Shared(stack)


@pytest.fixture(scope="module", autouse=True)
def _no_key_stays_for_ever(shared):
    """After every module: no key without a time to live."""
    yield
    shared.check()


@pytest.fixture
def anyio_backend():
    """A client of redis-py belongs to asyncio."""
    return "asyncio"


@pytest.fixture(params=PROGRAMS, ids=lambda binary: version(binary) if binary else "none")
def binary(request) -> Path:
    """Each server program on this machine; a test that asks for it, or for a server, runs on every one."""
    return request.param or resolve()


@pytest.fixture
def redis_server(binary, shared, request) -> Iterator[Server]:
    """A server, up and empty."""
    one = shared.get(binary)
    yield one
    shared.clear(one, request.node.name)


@pytest.fixture
def proxy(redis_server) -> Iterator[Proxy]:
    """A proxy before `redis_server`, which behaves until it is told not to."""
    with Proxy(redis_server.port) as one:
        yield one
