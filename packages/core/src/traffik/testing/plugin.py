"""A pytest plugin for tests of an application. Name it in the `conftest.py` at the top of the tests:

    pytest_plugins = ["traffik.testing.plugin"]

Each test then begins with fresh quotas in all in-memory stores. A test moves the time with the fixture `traffik_clock`.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from traffik.testing.clock import VirtualClock
from traffik.testing.isolation import fresh_quota, use_clock

__all__ = ["traffik_clock", "traffik_fresh_quota"]


@pytest.fixture(autouse=True)
def traffik_fresh_quota() -> None:
    """Fresh quotas in all in-memory stores."""
    fresh_quota()


@pytest.fixture
def traffik_clock() -> Generator[VirtualClock, None, None]:
    """The clock of all in-memory stores. It stands still until the test calls its `advance`."""
    with use_clock(VirtualClock()) as clock:
        yield clock
