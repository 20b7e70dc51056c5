"""Promise 25 in LMDB, over processes: what is left is what was not used, in all limits of a decision."""

from __future__ import annotations

from tests.booking import LIMIT, book_in_processes, left_in
from traffik.backends.lmdb import LMDBBackend


def make_store(directory):
    return LMDBBackend(directory, on_error="raise", deadline=10)


def test_four_processes_keep_the_books_in_order(directory):
    used = book_in_processes("tests.backends.lmdb.test_accounts:make_store", directory)
    assert 0 < used <= LIMIT
    assert left_in(make_store(directory)) == [LIMIT - used] * 2
