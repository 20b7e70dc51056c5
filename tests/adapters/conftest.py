"""Fixtures: each framework, a store on a virtual clock, and clients that use a service over real connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import httpx
import pytest

from tests.adapters.clients.aiohttp import AiohttpClient
from tests.adapters.clients.asgi import ASGIClient
from tests.adapters.clients.bare import BareClient
from tests.adapters.clients.django import DjangoASGIClient, DjangoWSGIClient
from tests.adapters.clients.fastapi import FastAPIClient
from tests.adapters.clients.starlette import StarletteClient
from tests.adapters.clients.wsgi import WSGIClient
from tests.adapters.services import Call, Framework, Service
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

FRAMEWORKS: dict[str, type[Framework]] = {
    "aiohttp": AiohttpClient,
    "ASGI": ASGIClient,
    "bare WSGI": BareClient,
    "Django ASGI": DjangoASGIClient,
    "Django WSGI": DjangoWSGIClient,
    "FastAPI": FastAPIClient,
    "Starlette": StarletteClient,
    "WSGI": WSGIClient,
}

_numbers = count()


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Framework:
    return FRAMEWORKS[request.param]()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(clock: VirtualClock) -> InMemoryBackend:
    return InMemoryBackend(clock=clock)


@pytest.fixture
def uid() -> str:
    """A uid that no other test has."""
    return f"suite-{next(_numbers)}"


@pytest.fixture
def serve(framework: Framework) -> Iterator[Callable[[Service], httpx.Client]]:
    """Serves a service until the test ends; returns a client of it."""
    with ExitStack() as stack:

        def start(service: Service) -> httpx.Client:
            address = stack.enter_context(framework.serving(service))
            return stack.enter_context(httpx.Client(base_url=f"http://{address}"))

        yield start


@pytest.fixture
def served(serve: Callable[[Service], httpx.Client], store: InMemoryBackend) -> Callable[..., httpx.Client]:
    """Serves one route, ``/``, that makes these calls. Keyword arguments set other fields of the service."""

    def start(*calls: Call, **parts: object) -> httpx.Client:
        return serve(Service(**{"backend": store, "routes": {"/": calls}, **parts}))

    return start
