"""Promises 1 and 2 in LMDB, across processes: exactly the limit, and one order of the hits explains all decisions."""

from __future__ import annotations

import pytest

from tests.backends.redis.test_processes import Budget
from tests.fleet import Order, admitted, explained, record, record_forked
from tests.promises.histories import most_in_a_window
from tests.walks import DAY, STRATEGIES
from traffik import FixedWindow, Rate, SlidingLog, SlidingWindow
from traffik.backends.lmdb import LMDBBackend

LIMIT = 200
COSTS = [(1, 2, 1) * 34] * 4  # four processes ask for more than twice the limit

every_strategy = pytest.mark.parametrize("strategy", [*STRATEGIES, Budget()], ids=lambda each: type(each).__name__)


def store(path):
    """The store of each process."""
    return LMDBBackend(path, on_error="raise", deadline=10)


def check(record, directory, strategy, tasks):
    """Let four processes hit. Assert that they got exactly the limit, and that one order explains their decisions."""
    order = Order("tests.backends.lmdb.test_processes:store", str(directory), strategy, Rate(LIMIT, DAY), tasks=tasks)
    histories = record(order, COSTS)
    debt = getattr(strategy, "debt", 0)
    assert 0 <= min(order.plan.capacity, LIMIT + debt) - admitted(histories) <= debt
    assert explained(histories, order.plan)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("tasks", [0, 8], ids=["sync", "async"])
@every_strategy
def test_four_processes_admit_the_limit_in_one_order(directory, strategy, tasks):
    check(record_forked, directory, strategy, tasks)


@pytest.mark.parametrize("tasks", [0, 8], ids=["sync", "async"])
def test_four_spawned_processes_admit_the_limit_in_one_order(directory, tasks):
    check(record, directory, FixedWindow(), tasks)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("strategy", [SlidingWindow(), SlidingWindow(2), SlidingLog()], ids=str)
def test_no_window_admits_more_than_the_limit_to_four_processes(directory, strategy):
    order = Order("tests.backends.lmdb.test_processes:store", str(directory), strategy, Rate(20, 50_000), pause=0.03)
    hits = [hit for history in record_forked(order, [[1] * 400] * 4) for hit in history]
    assert admitted([hits]) > 100
    assert most_in_a_window(hits, 49_000_000) <= 20
