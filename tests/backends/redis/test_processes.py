"""Promises 1 and 2 in Redis, across processes: exactly the limit, and one order of hits explains all decisions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.backends.redis.servers import resolve
from tests.fleet import Order, admitted, explained, record
from tests.promises.histories import most_in_a_window
from tests.walks import DAY, STRATEGIES
from traffik import NEVER, Decision, Rate, SlidingLog, SlidingWindow, Transition
from traffik.backends.redis import RedisBackend

LIMIT = 200
COSTS = [(1, 2, 1) * 34] * 4  # four processes ask for more than twice the limit


@dataclass(frozen=True)
class Budget:
    """A user's strategy, in Python only: used quota never comes back."""

    def decide(self, state, rate, cost, now):
        (used,) = state or (0,)
        left = rate.limit - used
        if cost > left:
            return Transition(Decision(False, rate.limit, left, NEVER), None, 0)
        return Transition(Decision(True, rate.limit, left - cost), (used + cost,), rate.period)


every_strategy = pytest.mark.parametrize("strategy", [*STRATEGIES, Budget()], ids=lambda each: type(each).__name__)


@pytest.fixture
def binary():
    """The newest server program is enough here, since the script is the same on all."""
    return resolve()


def store(url):
    """The store of each process."""
    return RedisBackend(url, on_error="raise", deadline=10)


@pytest.mark.parametrize("tasks", [0, 8], ids=["sync", "async"])
@every_strategy
def test_four_processes_admit_the_limit_in_one_order(redis_server, strategy, tasks):
    order = Order(
        "tests.backends.redis.test_processes:store", redis_server.url, strategy, Rate(LIMIT, DAY), tasks=tasks
    )
    histories = record(order, COSTS)
    debt = getattr(strategy, "debt", 0)
    assert 0 <= min(order.plan.capacity, LIMIT + debt) - admitted(histories) <= debt
    assert explained(histories, order.plan)


@pytest.mark.parametrize("strategy", [SlidingWindow(), SlidingWindow(2), SlidingLog()], ids=str)
def test_no_window_admits_more_than_the_limit_to_four_processes(redis_server, strategy):
    order = Order("tests.backends.redis.test_processes:store", redis_server.url, strategy, Rate(20, 50_000), pause=0.03)
    hits = [hit for history in record(order, [[1] * 400] * 4) for hit in history]
    assert admitted([hits]) > 100
    assert most_in_a_window(hits, 49_000_000) <= 20
