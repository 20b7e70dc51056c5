"""Servers that several tests share: started on first use, and reset after each test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from tests.backends.redis.clusters import Cluster
from tests.backends.redis.sentinels import Sentinels
from tests.backends.redis.servers import Server

Service: TypeAlias = Server | Sentinels | Cluster


class Shared:
    """The services of a test session, at most one of each kind and program, and the keys that tests leave in them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._services: dict[tuple[object, Path], Any] = {}
        self._used: list[Service] = []
        self._strays: dict[str, list[str]] = {}

    def get(self, make: Callable[..., AbstractContextManager[Any]], binary: Path) -> Any:
        """The service that `make` makes of a program, running, and empty at its first use in a module."""
        if (make, binary) not in self._services:
            self._services[make, binary] = self._stack.enter_context(make(binary=binary))
        service = self._services[make, binary]
        self._used.append(service)
        return service

    def clear(self, service: Service, user: str) -> None:
        """Reset a service after a test, and note the keys without a time to live."""
        servers = (service,) if isinstance(service, Server) else service.nodes
        for server in servers:
            if not server.alive:
                server.restart()
            server.cont()
        if not isinstance(service, Server):
            service.wait_settled()
        for server in servers:
            if strays := server.clear():
                self._strays.setdefault(user, []).extend(strays)
        self._used = [used for used in self._used if used is not service]

    def check(self) -> None:
        """Assert that no test has left a key without a time to live."""
        while self._used:
            self.clear(self._used[-1], "fixtures")
        strays, self._strays = self._strays, {}
        assert strays == {}, f"keys without a time to live: {strays}"
