"""The live page of workers that share files."""

from tests.live.fleets import check_the_sum_and_an_order


def test_four_workers_show_the_sum_and_follow_an_order(tmp_path):
    check_the_sum_and_an_order("lmdb", "LMDBBackend", tmp_path)
