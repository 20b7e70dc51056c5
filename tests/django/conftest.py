"""One Django project for all tests here, with one open store on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from types import ModuleType

import pytest
from django.test import AsyncClient, Client, override_settings

from tests.django.project import set_up
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import uids
from traffik.testing import VirtualClock

set_up()

MIDDLEWARE = ["traffik_django.middleware.ThrottleMiddleware"]

_numbers = count()


@pytest.fixture(autouse=True)
def fresh_traffik_settings(monkeypatch):
    from traffik_django import conf

    monkeypatch.setattr(uids, "_claimed", {})  # other tests may have made throttles with the names of the settings here
    monkeypatch.setattr(conf.throttles, "expected", type(conf.throttles.expected)())  # modules may have decorated views
    yield
    conf.stop()
    conf.start()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def backend(clock: VirtualClock) -> Iterator[InMemoryBackend]:
    """The only open store, so every throttle uses it."""
    with InMemoryBackend(clock=clock) as backend:
        yield backend


@pytest.fixture
def uid() -> str:
    """A uid that no other test has."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def configured():
    """Settings for the rest of the test: ``configured(TRAFFIK=…)``."""
    overrides = []

    def configure(**options):
        override = override_settings(**options)
        override.enable()
        overrides.append(override)

    yield configure
    while overrides:
        overrides.pop().disable()


@pytest.fixture
def serve_urls(configured):
    """A project with these URL patterns: ``serve_urls(path(…), …)``."""

    def serve(*urlpatterns, middleware=MIDDLEWARE, **options):
        urls = ModuleType("urls")
        urls.urlpatterns = list(urlpatterns)
        configured(ROOT_URLCONF=urls, MIDDLEWARE=middleware, **options)
        return urls

    return serve


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def async_client():
    return AsyncClient()
