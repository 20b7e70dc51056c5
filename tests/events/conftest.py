"""Ends all subscriptions and metrics before and after each test."""

import pytest

from traffik.events import observers


@pytest.fixture(autouse=True)
def _nothing_watches():
    yield
    assert observers.observers() == ()
