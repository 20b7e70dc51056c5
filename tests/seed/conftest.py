"""Fixtures for programs of new users, one file for each way to use a throttle, with real clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.servers import serve
from traffik.testing import VirtualClock

Served = Callable[[Any], httpx.Client]


@pytest.fixture
def served() -> Iterator[Served]:
    """Serves an app under uvicorn until the test ends; returns a client of it."""
    with ExitStack() as stack:

        def start(app: Any) -> httpx.Client:
            address = stack.enter_context(serve(app))
            return stack.enter_context(httpx.Client(base_url=f"http://{address}"))

        yield start


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
