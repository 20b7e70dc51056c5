"""What the tests of the core share: a clock, and a store on it."""

from __future__ import annotations

from weakref import WeakSet

import pytest

from traffik.backends import binding
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock


@pytest.fixture(autouse=True)
def _no_store_of_others(monkeypatch):
    """Which store is meant must not follow from what other tests have left behind."""
    monkeypatch.setattr(binding, "_made", WeakSet())


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def store(clock):
    """A store in memory on the virtual clock."""
    return InMemoryBackend(clock=clock)
