"""A cost above the capacity is refused without the store, with the wait NEVER."""

from __future__ import annotations

import pytest

from tests.walks import STRATEGIES
from traffik import Limiter


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_the_whole_quota_remains(strategy, store):
    limiter = Limiter("never", "5/min", strategy=strategy, backend=store)
    capacity = limiter.own_plan.capacity
    decision = limiter.sync.hit("ada", capacity + 1)
    assert (decision.never, decision.remaining, decision.limit) == (True, capacity, capacity)
    assert limiter.sync.hit("ada", decision.remaining)
