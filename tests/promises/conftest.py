"""The fixtures of the promises."""

from __future__ import annotations

import pytest

from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def store(clock):
    """A store in memory on the virtual clock."""
    return InMemoryBackend(clock=clock)
