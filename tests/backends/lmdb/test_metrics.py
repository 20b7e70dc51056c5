"""The metrics of an LMDB store."""

from tests.events.workers import counts_of_four


def test_four_processes_show_the_sum(tmp_path):
    assert counts_of_four("lmdb", "LMDBBackend", tmp_path) == (50, 50)
