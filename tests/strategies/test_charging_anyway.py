"""Charging in any case: its bound, the waits afterwards, and lowered limits with an overdraft."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import START, every_strategy, keys, small_rates, usual_rates
from traffik import GCRA, FixedWindow, LeakyBucket, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.strategies import plan

can_count = small_rates | usual_rates
RATE = Rate(10, 1000)

MOST = [
    (FixedWindow(), 20),
    (SlidingWindow(), 20),
    (SlidingWindow(resolution=3), 20),
    (SlidingLog(), 20),
    (SlidingCounter(), 20),
    (TokenBucket(), 20),
    (GCRA(burst=1), 11),
    (LeakyBucket(burst=3), 13),
    (TokenBucket(debt=4), 14),
]
LONGEST = [
    (FixedWindow(), 1000),
    (SlidingWindow(), 1000),
    (SlidingLog(), 1000),
    (SlidingCounter(), 2000),
    (TokenBucket(), 2000),
    (GCRA(burst=1), 1100),
    (LeakyBucket(burst=3), 1300),
]


def overdrawn(strategy, rate, state, units, now):
    """The state after charging `units` in any case."""
    settled = plan(strategy, [rate]).settle(state, units, None, now)
    return state if settled.state is None else settled.state


@pytest.mark.parametrize(("strategy", "most"), MOST, ids=repr)
def test_it_is_bounded_by_one_limit_or_the_debt_above_the_capacity(strategy, most):
    made = plan(strategy, [RATE])
    first = made.settle(None, 1000, None, START)
    assert (first.applied, first.decision.remaining) == (most, 0)
    assert made.settle(first.state, 1, None, START)[1:] == (None, 0, 0)


@pytest.mark.parametrize(("strategy", "longest"), LONGEST, ids=repr)
def test_it_lengthens_the_wait_up_to_a_bound(strategy, longest):
    state = overdrawn(strategy, RATE, None, 1000, START)
    wait = plan(strategy, [RATE]).kernel(state, strategy.capacity(RATE), START)[0].retry_after
    assert wait == longest


@every_strategy
@given(data=st.data())
def test_every_wait_after_it_is_exact(strategy, data):
    rate = data.draw(can_count)
    key = data.draw(keys(strategy, rate))
    key.state = overdrawn(strategy, rate, key.state, data.draw(st.integers(1, 2 * rate.limit)), key.now)
    key.now += data.draw(st.integers(0, rate.period))
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    wait = key.ask(cost).retry_after
    assert key.ask(cost, key.now + wait).allowed
    assert wait == 0 or not key.ask(cost, key.now + wait - 1).allowed


@every_strategy
@given(data=st.data())
def test_it_reduces_the_remaining_quota(strategy, data):
    rate = data.draw(can_count)
    key = data.draw(keys(strategy, rate))
    before = key.ask(0).remaining
    settled = plan(strategy, [rate]).settle(key.state, data.draw(st.integers(1, rate.limit)), None, key.now)
    assert settled.decision.remaining <= max(0, before - settled.applied)


@every_strategy
@given(data=st.data())
def test_within_the_quota_it_equals_a_hit(strategy, data):
    rate = data.draw(can_count)
    key = data.draw(keys(strategy, rate))
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    key.now += key.ask(cost).retry_after
    settled = plan(strategy, [rate]).settle(key.state, cost, None, key.now)
    assert settled[1:] == (*key.kernel(key.state, cost, key.now)[1:], cost)


@every_strategy
def test_an_overdraft_survives_the_hits_that_come_meanwhile(strategy):
    state = overdrawn(strategy, RATE, None, 1000, START)
    kernel = plan(strategy, [RATE]).kernel
    refused, changed, _ = kernel(state, 1, START + 1)
    assert (refused.allowed, changed) == (False, None)
    wait = kernel(state, 1, START)[0].retry_after
    assert refused.retry_after == wait - 1


@every_strategy
@given(data=st.data())
def test_a_limit_that_is_raised_makes_no_wait_longer(strategy, data):
    rate = data.draw(can_count)
    key = data.draw(keys(strategy, rate))
    key.state = overdrawn(strategy, rate, key.state, data.draw(st.integers(1, 2 * rate.limit)), key.now)
    raised = strategy.prepare(Rate(data.draw(st.integers(rate.limit, 3 * rate.limit)), rate.period))
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    assert raised(key.state, cost, key.now)[0].retry_after <= key.ask(cost).retry_after


@every_strategy
@given(data=st.data())
def test_a_limit_that_is_lowered_keeps_the_overdraft_within_its_own_bounds(strategy, data):
    rate = data.draw(can_count)
    lower = Rate(data.draw(st.integers(1, rate.limit)), rate.period)
    state = overdrawn(strategy, rate, None, 3 * rate.limit, START)
    fullest = overdrawn(strategy, lower, None, 3 * rate.limit, START)
    kernel = strategy.prepare(lower)
    wait = kernel(state, 1, START)[0].retry_after
    assert strategy.prepare(rate)(state, 0, START)[0].remaining == kernel(state, 0, START)[0].remaining == 0
    assert 0 < wait <= kernel(fullest, 1, START)[0].retry_after + 1


@pytest.mark.parametrize("strategy", [SlidingCounter(), TokenBucket()], ids=repr)
def test_without_an_overdraft_a_lowered_limit_cuts_the_usage(strategy):
    _, state, _ = strategy.prepare(RATE)(None, 10, START)
    lower = strategy.prepare(Rate(1, 1000))
    _, full, _ = lower(None, 1, START)
    assert lower(state, 1, START)[0] == lower(full, 1, START)[0]


@pytest.mark.parametrize("strategy", [SlidingCounter(), TokenBucket()], ids=repr)
def test_a_state_is_marked_only_while_it_has_an_overdraft(strategy):
    made = plan(strategy, [RATE])
    state = overdrawn(strategy, RATE, None, 15, START)
    assert state[0] < 0
    assert made.settle(state, -6, None, START).state[0] > 0
    later = START + made.kernel(state, 1, START)[0].retry_after + 2 * RATE.period
    assert made.kernel(state, 1, later)[1][0] > 0
