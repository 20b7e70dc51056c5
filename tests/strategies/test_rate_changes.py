"""A rate that changes while quota is in use: no client gets quota back, and none waits longer than before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import START, every_strategy, keys, small_rates, usual_rates
from traffik import FixedWindow, Rate, SlidingCounter, SlidingLog, SlidingWindow

rates = small_rates | usual_rates


def lowered(rate):
    return st.builds(Rate, st.integers(1, rate.limit), st.just(rate.period))


def raised(rate):
    return st.builds(Rate, st.integers(rate.limit, 2 * rate.limit + 5), st.just(rate.period))


@every_strategy
@given(data=st.data())
def test_lowering_a_limit_never_grants_fresh_quota(strategy, data):
    rate = data.draw(rates)
    key = data.draw(keys(strategy, rate))
    under_new = strategy.prepare(data.draw(lowered(rate)))
    for now in (key.now, key.now + data.draw(st.integers(0, 3 * rate.period))):
        assert under_new(key.state, 0, now)[0].remaining <= key.ask(0, now).remaining


@every_strategy
@given(data=st.data())
def test_raising_a_limit_never_makes_a_wait_longer(strategy, data):
    rate = data.draw(rates)
    key = data.draw(keys(strategy, rate))
    under_new = strategy.prepare(data.draw(raised(rate)))
    cost = data.draw(st.integers(1, strategy.capacity(rate)))
    assert under_new(key.state, cost, key.now)[0].retry_after <= key.ask(cost).retry_after


@every_strategy
@given(data=st.data())
def test_a_slower_rate_never_grants_fresh_quota(strategy, data):
    rate = data.draw(rates)
    slower = Rate(data.draw(st.integers(1, rate.limit)), rate.period * data.draw(st.integers(1, 3)))
    key = data.draw(keys(strategy, rate))
    assert strategy.prepare(slower)(key.state, 0, key.now)[0].remaining <= key.ask(0).remaining


@every_strategy
@given(data=st.data())
def test_under_any_other_rate_the_wait_is_exact(strategy, data):
    rate, other = data.draw(rates), data.draw(rates)
    key = data.draw(keys(strategy, rate))
    key.kernel = strategy.prepare(other)
    cost = data.draw(st.integers(1, strategy.capacity(other)))
    wait = key.ask(cost).retry_after
    assert key.ask(cost, key.now + wait).allowed
    assert wait == 0 or not key.ask(cost, key.now + wait - 1).allowed


@every_strategy
@given(data=st.data())
def test_changing_a_rate_and_back_without_a_hit_changes_nothing(strategy, data):
    rate, other = data.draw(rates), data.draw(rates)
    key = data.draw(keys(strategy, rate))
    before = key.ask(0)
    strategy.prepare(other)(key.state, 0, key.now)
    assert key.ask(0) == before


def test_a_shorter_period_never_ends_a_window_later():
    _, state, _ = FixedWindow().decide(None, Rate(1, 1000), 1, START)
    assert FixedWindow().decide(state, Rate(1, 100), 1, START + 950).decision.retry_after == 50


@pytest.mark.parametrize(("pause", "left"), [(0, 0), (1500, 2), (2000, 4)])
def test_a_sliding_counter_carries_usage_over_to_another_period(pause, left):
    _, state, _ = SlidingCounter().decide(None, Rate(4, 1000), 4, START)
    assert SlidingCounter().decide(state, Rate(4, 500), 0, START + pause).decision.remaining == left


@pytest.mark.parametrize("strategy", [SlidingWindow(), SlidingWindow(resolution=2), SlidingLog()], ids=repr)
@given(data=st.data())
def test_under_another_rate_an_expired_state_decides_like_none(strategy, data):
    rate, other = data.draw(rates), data.draw(rates)
    key = data.draw(keys(strategy, rate))
    later = key.lapses + data.draw(st.integers(0, 3 * other.period))
    cost = data.draw(st.integers(1, other.limit))
    assert strategy.prepare(other)(key.state, cost, later) == strategy.prepare(other)(None, cost, later)


@pytest.mark.parametrize(("period", "pause", "wait"), [(500, 100, 400), (500, 499, 1), (5000, 100, 900)])
def test_under_another_period_a_unit_counts_for_the_shorter_period(period, pause, wait):
    _, state, _ = SlidingWindow().decide(None, Rate(4, 1000), 4, START)
    assert SlidingWindow().decide(state, Rate(4, period), 1, START + pause).decision.retry_after == wait


def test_after_a_hit_under_a_longer_period_all_units_count_for_the_longer_period():
    _, state, _ = SlidingWindow().decide(None, Rate(4, 1000), 3, START)
    _, state, ttl = SlidingWindow().decide(state, Rate(4, 5000), 1, START + 900)
    assert ttl == 5000
    assert SlidingWindow().decide(state, Rate(4, 5000), 1, START + 1000).decision.retry_after == 4000
