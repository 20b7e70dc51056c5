"""A pytest plugin for tests of an application. Name it in the `conftest.py` at the top of the tests:

    pytest_plugins = ["traffik.testing.plugin"]

Each test then begins with whole quotas in all stores in memory. A test that asks for `traffik_clock` moves the time.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from traffik.testing.clock import VirtualClock
from traffik.testing.isolation import fresh_quota, use_clock

__all__ = ["traffik_clock", "traffik_fresh_quota"]


@pytest.fixture(autouse=True)
def traffik_fresh_quota() -> None:
    """Whole quotas in all stores in memory."""
    fresh_quota()


@pytest.fixture
def traffik_clock() -> Generator[VirtualClock, None, None]:
    """The clock of all stores in memory. It stands still until the test moves it by its `advance`."""
    with use_clock(VirtualClock()) as clock:
        yield clock
