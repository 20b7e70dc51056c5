"""The tools for promises 1 and 2 across processes detect a store that breaks both, and accept a correct one."""

from __future__ import annotations

import pytest

from tests.backends.redis.servers import resolve
from tests.fleet import Order, admitted, explained, record
from tests.promises.histories import Hit
from tests.walks import DAY
from traffik import Decision, FixedWindow, Rate, TokenBucket
from traffik.strategies import plan

LIMIT = 200
COSTS = [(1,) * 100] * 4  # four processes ask for twice the limit

each_way = pytest.mark.parametrize("tasks", [0, 5], ids=["sync", "async"])


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def order(redis_server):
    def order(store, tasks=0):
        return Order(
            f"tests.backends.redis.toys:{store}", redis_server.url, FixedWindow(), Rate(LIMIT, DAY), tasks=tasks
        )

    return order


@each_way
def test_a_racy_store_is_detected(order, tasks):
    racy = order("Racy", tasks)
    histories = record(racy, COSTS)
    assert admitted(histories) > LIMIT
    assert not explained(histories, racy.plan)


@each_way
def test_a_correct_store_is_accepted(order, tasks):
    careful = order("Careful", tasks)
    histories = record(careful, COSTS)
    assert [len(history) for history in histories] == [100] * 4
    assert admitted(histories) == LIMIT
    assert explained(histories, careful.plan)


@pytest.mark.parametrize("second", [Decision(False, 64, 0), Decision(True, 64, 0)])
def test_if_a_decision_depends_on_the_time_between_hits_either_is_accepted(second):
    of_debt = plan(TokenBucket(debt=4), [Rate(60, DAY)])
    assert explained([[Hit(0, 1, 60, Decision(True, 64, 0)), Hit(2, 3, 1, second)]], of_debt)


def test_a_process_that_dies_is_an_error(order):
    with pytest.raises(EOFError):
        record(order("Missing"), COSTS[:1])
