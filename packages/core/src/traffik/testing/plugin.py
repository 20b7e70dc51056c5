"""A pytest plugin for tests of an application. pytest finds it by its entry point; ``-p no:traffik`` leaves it out.

Each test begins with fresh quotas in all in-memory stores. A test moves the time with the fixture `traffik_clock`, and
the marker `unthrottled` disables limits in it. Nothing of traffik is imported before a test needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from traffik.backends.inmemory import InMemoryBackend
    from traffik.testing.clock import VirtualClock

__all__ = ["pytest_configure", "traffik_clock", "traffik_fresh_quota", "traffik_store", "traffik_unthrottled"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "unthrottled(*patterns): disable the limits of traffik in this test: all, or those whose uids match a pattern",
    )


@pytest.fixture(autouse=True)
def traffik_fresh_quota() -> None:
    """Fresh quotas in all in-memory stores."""
    if "traffik.backends.inmemory.backend" in sys.modules:  # or else there are no such stores
        from traffik.testing.isolation import fresh_quota

        fresh_quota()


@pytest.fixture(autouse=True)
def traffik_unthrottled(request: pytest.FixtureRequest) -> Generator[None, None, None]:
    """Limits are disabled in a test with the marker `unthrottled`."""
    with ExitStack() as disabled:
        for marker in request.node.iter_markers("unthrottled"):
            from traffik.limits.groups import group

            for pattern in marker.args or ("*",):
                disabled.enter_context(group(pattern).disabled())
        yield


@pytest.fixture
def traffik_clock() -> Generator[VirtualClock, None, None]:
    """The clock of all in-memory stores. It stands still until the test calls its `advance`."""
    from traffik.testing.clock import VirtualClock
    from traffik.testing.isolation import use_clock

    with use_clock(VirtualClock()) as clock:
        yield clock


@pytest.fixture
def traffik_store(traffik_clock: VirtualClock) -> Generator[InMemoryBackend, None, None]:
    """An empty in-memory store on `traffik_clock`, open during the test."""
    from traffik.backends.inmemory import InMemoryBackend

    with InMemoryBackend(clock=traffik_clock) as store:
        yield store
