"""One open store on a virtual clock, so that every refusal and every wait is exact."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

_numbers = count()


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
