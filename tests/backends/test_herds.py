"""Waiting clients of one limit do not all come back at once, since the windows of a key begin with its first hit.

If all hits of a key are later by some time, all its decisions are later by the same time.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import GCRA, FixedWindow, LeakyBucket, Limiter, Rate, SlidingLog, SlidingWindow, TokenBucket

STRATEGIES = [FixedWindow(), SlidingWindow(), SlidingLog(), TokenBucket(burst=3), GCRA(), LeakyBucket()]
RATE = Rate.parse("3/10s")
STEPS = st.lists(st.tuples(st.integers(0, 15_000_000), st.integers(1, 3)), min_size=1, max_size=12)


def walk(strategy, start, steps):
    """Make hits one after another, the first at `start`; the decisions."""
    state, now, decisions = None, start, []
    for pause, cost in steps:
        now += pause
        decision, changed, _ = strategy.decide(state, RATE, cost, now)
        state = state if changed is None else changed
        decisions.append(decision)
    return decisions


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
@given(start=st.integers(0, 10**15), moved=st.integers(0, 10**12), steps=STEPS)
def test_a_decision_depends_only_on_the_hits_of_its_key(strategy, start, moved, steps):
    assert walk(strategy, start, steps) == walk(strategy, start + moved, steps)


@pytest.mark.parametrize("strategy", [FixedWindow(), SlidingWindow()], ids=repr)
def test_clients_that_began_at_different_times_come_back_at_different_times(strategy, store, clock):
    limiter = Limiter("herds", "1/min", strategy=strategy, backend=store).sync
    ends = set()
    for client in range(50):
        limiter.hit(f"{client}")
        clock.advance(seconds=1)
    for client in range(50):
        ends.add(limiter.check(f"{client}").retry_after)
    assert len(ends) == 50
