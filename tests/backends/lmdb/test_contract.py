"""The store passes the contract tests of stores, on the machine's clock and on a virtual one."""

from __future__ import annotations

import time

import pytest

from traffik.backends.lmdb import LMDBBackend
from traffik.testing import ComposingContract


class TestLMDBBackend(ComposingContract):
    @pytest.fixture(autouse=True)
    def _where(self, directory):
        self.directory = directory

    def make(self, *, namespace, clock):
        clock = clock or time.monotonic_ns
        return LMDBBackend(self.directory, namespace=namespace, clock=clock, on_error="raise", deadline=5)


class TestDurable(TestLMDBBackend):
    def make(self, *, namespace, clock):
        clock = clock or time.monotonic_ns
        return LMDBBackend(self.directory, durable=True, namespace=namespace, clock=clock, on_error="raise", deadline=5)
