"""What the tests of the store in LMDB share: a directory, and stores in it that are gone afterwards."""

from __future__ import annotations

import pytest

from traffik.backends.lmdb import LMDBBackend
from traffik.testing import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def directory(tmp_path):
    """Where the file is; closed in this process when the test is over."""
    directory = tmp_path / "quota"
    yield directory
    for environment in _of(directory):
        environment.close()


@pytest.fixture
def store(directory, clock):
    """A store on the virtual clock."""
    return LMDBBackend(directory, clock=clock, on_error="raise")


def _of(directory):
    from traffik.backends.lmdb import environments

    return [each for each in environments._environments.values() if each.directory == directory]
