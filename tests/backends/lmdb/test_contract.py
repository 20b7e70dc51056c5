"""The store passes the contract tests of stores, on the machine's clock and on a virtual one."""

from __future__ import annotations

import time

import pytest

from tests.backends.lmdb.conftest import divided
from traffik.backends.lmdb import LMDBBackend
from traffik.backends.lmdb.paths import FILES
from traffik.testing import ComposingContract


class TestLMDBBackend(ComposingContract):
    durable = False
    files = 2  # making all of them takes longer than most of the tests

    @pytest.fixture(autouse=True)
    def _where(self, directory, monkeypatch):
        divided(monkeypatch, self.files)
        self.directory = directory

    def make(self, *, namespace, clock):
        options = {"namespace": namespace, "clock": clock or time.monotonic_ns, "changes_within": None}
        return LMDBBackend(self.directory, durable=self.durable, on_error="raise", deadline=5, **options)


class TestDurable(TestLMDBBackend):
    durable = True
    files = FILES
