"""Promise 25 in LMDB, across processes: for each limit, the quota left is the limit minus what was used."""

from __future__ import annotations

from tests.booking import LIMIT, book_in_processes, left_in
from traffik.backends.lmdb import LMDBBackend


def make_store(directory):
    return LMDBBackend(directory, on_error="raise", deadline=10)


def test_the_units_of_four_processes_add_up(directory):
    used = book_in_processes("tests.backends.lmdb.test_accounts:make_store", directory)
    assert 0 < used <= LIMIT
    assert left_in(make_store(directory)) == [LIMIT - used] * 2
