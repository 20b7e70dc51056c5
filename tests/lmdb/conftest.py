"""What the tests of the store in LMDB share: a directory, and stores in it that are gone afterwards."""

from __future__ import annotations

import pytest

from traffik.backends.lmdb import LMDBBackend, environments
from traffik.testing import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def directory(tmp_path):
    """Where the file is; closed in this process when the test is over."""
    directory = tmp_path / "quota"
    yield directory
    reopened(directory)


@pytest.fixture
def store(directory, clock):
    """A store on the virtual clock."""
    return LMDBBackend(directory, clock=clock, on_error="raise")


def reopened(directory):
    """Let this process know as little of the file as one that has just started."""
    for environment in list(environments._environments.values()):
        if environment.directory == directory:
            environment.close()


def environment_of(store):
    """What a store has open."""
    return store._visitor.environment


def keys_in(store):
    """How many records there are, the head aside."""
    with environment_of(store).opened.env.begin() as transaction:
        return transaction.stat()["entries"] - 1
