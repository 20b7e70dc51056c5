"""Late lines are sorted within the window, and counted."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from traffik_cli.replay.batches import Batch
from traffik_cli.replay.ordering import Sorter, in_time


def arranged(times, window):
    order = Sorter(window)
    batches = [Batch(times[start : start + 3], [start, start + 1, start + 2]) for start in range(0, len(times), 3)]
    batches = [Batch(times, hits[: len(times)]) for times, hits in batches]
    return order, [pair for batch in order.arrange(batches) for pair in zip(*batch, strict=True)]


@given(st.lists(st.integers(0, 50)), st.integers(0, 60))
def test_the_result_is_in_order_and_complete(times, window):
    _, out = arranged(times, window)
    assert sorted(range(len(times))) == sorted(hit for _, hit in out)
    assert [now for now, _ in out] == sorted(now for now, _ in out)


@given(st.lists(st.integers(0, 50)))
def test_lines_late_within_the_window_are_sorted_stably(times):
    order, out = arranged(times, 50)
    assert sorted(((now, place) for place, now in enumerate(times)), key=lambda hit: hit[0]) == out
    assert order.late == 0


@given(st.lists(st.integers(0, 50)), st.integers(0, 60))
def test_late_lines_are_counted(times, window):
    order, _ = arranged(times, window)
    behind = [max(times[: place + 1]) - now for place, now in enumerate(times)]
    assert sum(late > 0 for late in behind) == order.disordered
    assert max(behind, default=0) == order.worst
    assert sum(late > window for late in behind) >= order.late


def test_a_line_later_than_the_window_gets_the_time_reached():
    order, out = arranged([0, 10, 30, 5, 31], 10)
    assert out == [(0, 0), (10, 1), (10, 3), (30, 2), (31, 4)]
    assert (order.disordered, order.late, order.worst) == (1, 1, 25)


def test_at_one_instant_lines_of_the_first_log_come_first():
    logs = [iter([Batch([1, 2], ["a", "b"])]), iter([Batch([1], ["c"]), Batch([3], ["d"])]), iter([])]
    merged = chain.from_iterable(zip(*batch, strict=True) for batch in in_time(logs))
    assert list(merged) == [(1, "a"), (1, "c"), (2, "b"), (3, "d")]
