"""A clock that goes back never gives quota back, and delays no client by more than the time of a drain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import START, Key, every_strategy, keys, rates, small_rates
from traffik import FixedWindow, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.strategies import plan as plan_of

every_built_in = pytest.mark.parametrize(
    "strategy", [FixedWindow(), SlidingWindow(), SlidingCounter(), SlidingLog(), TokenBucket()], ids=repr
)


@every_strategy
@given(data=st.data())
def test_it_never_refills(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    back = data.draw(st.integers(1, 2 * rate.period) | st.integers(1, 100 * rate.period))
    assert key.state is None or key.ask(0, key.now - back).remaining <= key.ask(0).remaining


@every_strategy
@given(data=st.data())
def test_no_wait_is_longer_than_two_full_drains(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    drain = key.kernel(None, strategy.capacity(rate), key.now)[0].reset_after
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    back = data.draw(st.integers(1, 2 * rate.period) | st.integers(1, 100 * rate.period))
    assert key.ask(cost, key.now - back).retry_after <= 2 * drain


@every_strategy
@given(data=st.data())
def test_after_a_small_step_back_the_wait_is_exact(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    drain = key.kernel(None, strategy.capacity(rate), key.now)[0].reset_after
    key.now -= data.draw(st.integers(1, min(drain, rate.period)))
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    wait = key.ask(cost).retry_after
    assert key.ask(cost, key.now + wait).allowed
    assert wait == 0 or not key.ask(cost, key.now + wait - 1).allowed


@every_strategy
@given(data=st.data())
def test_the_ttl_of_a_state_written_after_a_step_back_is_exact(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    key.now -= data.draw(st.integers(1, 2 * rate.period))
    key.lapses = key.now
    if key.hit(1):
        fresh = key.kernel(None, 0, key.now)[0]
        assert key.ask(0, key.lapses) == fresh
        assert key.ask(0, key.lapses - 1) != fresh


@every_strategy
@given(data=st.data())
def test_while_time_moves_forward_no_more_than_the_bound_is_admitted(strategy, data):
    rate = data.draw(small_rates)
    moves = st.lists(st.tuples(st.integers(-3 * rate.period, rate.period), st.integers(1, 3)), max_size=40)
    key, forward, log = Key(strategy.prepare(rate)), 0, []
    for move, cost in data.draw(moves):
        key.now += move
        forward += max(0, move)
        if key.hit(cost):
            log.append((forward, cost))
    bound = strategy.capacity(rate) + rate.limit - 1
    for begin, _ in log:
        assert sum(cost for time, cost in log if begin <= time < begin + rate.period) <= bound


@every_built_in
def test_after_a_small_step_back_time_stands_still_until_the_clock_has_caught_up(strategy):
    key = Key(strategy.prepare(Rate(4, 1000)))
    key.hit(4)
    wait = key.ask(1).retry_after
    assert key.ask(1, START - 100).retry_after == wait + 100


@every_built_in
def test_after_a_large_step_back_it_continues_from_the_new_time(strategy):
    key = Key(strategy.prepare(Rate(4, 1000)))
    key.hit(4)
    wait = key.ask(1).retry_after
    assert key.ask(1, START - 1_000_000).retry_after == wait


@every_strategy
@given(data=st.data())
def test_after_a_large_step_back_the_announced_wait_is_enough(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    key.now -= data.draw(st.integers(50, 100)) * rate.period
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    decision = key.hit(cost)
    assert decision.allowed or key.ask(cost, key.now + decision.retry_after).allowed


def test_after_a_large_step_back_several_rates_continue_from_the_new_time_together():
    plan = plan_of(SlidingWindow(), [Rate(2, 1000), Rate(3, 5000)])
    key = Key(plan.kernel)
    assert [key.hit(1).allowed for _ in range(3)] == [True, True, False]
    key.now -= 1_000_000
    key.now += key.hit(1).retry_after
    assert key.hit(1)
    assert key.ask(1).rate == Rate(3, 5000)
