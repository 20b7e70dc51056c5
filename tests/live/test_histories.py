"""What was admitted and refused over time."""

from traffik.live.histories import Bucket, History, add_up, rates_of


def test_hits_of_five_seconds_share_a_bucket():
    history = History(60)
    for now in (100, 104.9, 105):
        history.add(2, 1, now)
    assert history.buckets() == [Bucket(100, 4, 2), Bucket(105, 2, 1)]


def test_old_buckets_are_dropped():
    history = History(60)
    for now in range(0, 1000, 5):
        history.add(1, 0, now)
    assert (len(history.buckets()), history.buckets()[0].start) == (12, 940)


def test_histories_of_workers_are_added_by_their_time():
    added = add_up([[(100, 1, 2)], [[100, 10, 20], [105, 5, 0], [50, 9, 9]]], 15, now=107)
    assert added == [Bucket(95, 0, 0), Bucket(100, 11, 22), Bucket(105, 5, 0)]


def test_a_rate_is_that_of_the_last_seconds():
    assert rates_of([Bucket(90, 900, 900), Bucket(100, 14, 7), Bucket(105, 0, 0)], now=107) == (2, 1)
    assert rates_of([], now=107) == (0, 0)
