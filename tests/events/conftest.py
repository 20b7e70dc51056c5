"""Nothing watches before a test, and nothing after it."""

import pytest

from traffik.events import observers


@pytest.fixture(autouse=True)
def _nothing_watches():
    yield
    assert observers.observers() == ()
