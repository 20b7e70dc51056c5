"""Fixtures for the tests of the LMDB store: a directory, and stores in it that are closed afterwards."""

from __future__ import annotations

import pytest

from traffik.backends.lmdb import LMDBBackend, backend, environments, paths
from traffik.backends.lmdb.states import FIRST
from traffik.testing import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def directory(tmp_path):
    """The directory of the files. This process closes them after the test."""
    directory = tmp_path / "quota"
    yield directory
    reopened(directory)


@pytest.fixture
def store(directory, clock):
    """A store on the virtual clock."""
    return LMDBBackend(directory, clock=clock, on_error="raise")


@pytest.fixture
def one_file(monkeypatch):
    """Keep all keys in one file, so that a test knows where they are."""
    divided(monkeypatch, 1)
    monkeypatch.setattr(backend, "_SMALLEST_MAP", 1 << 20)


def reopened(directory):
    """Close the files, so that this process opens them again as a new process would."""
    for path, environment in list(environments._environments.items()):
        if path.parent == directory:
            environment.close()


def divided(monkeypatch, count):
    """Let stores divide their keys among this number of files."""
    for module in (backend, environments, paths):
        monkeypatch.setattr(module, "FILES", count)


def environment_of(store, number=0):
    """The open environment of a store."""
    return store._files[number]


def keys_in(store):
    """The number of states, overflow buckets included."""
    count = 0
    for environment in store._files:
        with environment.file.env.begin() as transaction, transaction.cursor() as cursor:
            count += sum(key.startswith(FIRST) for key, _ in cursor)
    return count
