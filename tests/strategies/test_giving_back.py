"""Giving units back: it restores quota, but never too much."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.walks import START, STRATEGIES, every_strategy, keys, rates, small_rates, usual_rates
from traffik import GCRA, FixedWindow, LeakyBucket, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.strategies import plan

METERS = [TokenBucket(), GCRA(burst=1), LeakyBucket(burst=3), TokenBucket(debt=4)]
WINDOWS = [SlidingWindow(), SlidingWindow(resolution=3), SlidingLog()]
CAN_COUNT = small_rates | usual_rates
RATE = Rate(10, 1000)


def kernel_answers(strategy, rate, state, now):
    """The quota left now and at some later times."""
    kernel = strategy.prepare(rate)
    return [kernel(state, 0, now + rate.period * part // 7)[0].remaining for part in range(16)]


def hit_and_give_back(strategy, rate, key, cost):
    """The state after an admitted hit whose units are all given back at once."""
    made = plan(strategy, [rate])
    key.now += made.kernel(key.state, cost, key.now)[0].retry_after
    _, changed, _ = made.kernel(key.state, cost, key.now)
    settled = made.settle(changed, -cost, made.receipt(key.state, changed), key.now)
    assert settled.applied == -cost
    return settled.state


@pytest.mark.parametrize("strategy", [FixedWindow(), SlidingCounter(), SlidingLog(), *METERS], ids=repr)
@given(data=st.data())
def test_giving_a_hit_back_at_once_restores_the_quota(strategy, data):
    rate = data.draw(rates(strategy))
    key = data.draw(keys(strategy, rate))
    state = hit_and_give_back(strategy, rate, key, data.draw(st.integers(1, strategy.capacity(rate))))
    assert kernel_answers(strategy, rate, state, key.now) == kernel_answers(strategy, rate, key.state, key.now)


@given(data=st.data())
def test_other_units_of_the_cell_are_free_at_most_one_cell_later(data):
    rate = data.draw(CAN_COUNT)
    key = data.draw(keys(SlidingWindow(), rate))
    state = hit_and_give_back(SlidingWindow(), rate, key, data.draw(st.integers(1, rate.limit)))
    before = kernel_answers(SlidingWindow(), rate, key.state, key.now)
    after = kernel_answers(SlidingWindow(), rate, state, key.now)
    later = kernel_answers(SlidingWindow(), rate, state, key.now + -(-rate.period // 16))
    assert all(first <= middle <= last for first, middle, last in zip(after, before, later, strict=True))


@every_strategy
@given(data=st.data())
def test_after_giving_everything_back_a_key_is_as_new(strategy, data):
    rate, made = data.draw(rates(strategy)), None
    made = plan(strategy, [rate])
    cost = data.draw(st.integers(1, made.capacity))
    _, changed, _ = made.kernel(None, cost, START)
    now = START + data.draw(st.integers(0, rate.period // 20))
    settled = made.settle(changed, -cost, made.receipt(None, changed), now)
    assert settled.ttl == 0 or settled.state is None
    assume(settled.state is not None)
    later = now + data.draw(st.integers(0, 3 * rate.period))
    assert made.kernel(settled.state, cost, later) == made.kernel(None, cost, later)


@every_strategy
def test_a_key_without_state_has_nothing_to_give_back(strategy):
    settled = plan(strategy, [RATE]).settle(None, -3, None, START)
    assert (settled.state, settled.ttl, settled.applied) == (None, 0, 0)
    assert settled.decision.remaining == strategy.capacity(RATE)


@every_strategy
def test_units_that_are_available_again_are_not_given_back(strategy):
    made = plan(strategy, [RATE])
    _, first, _ = made.kernel(None, 1, START)
    receipts = made.receipt(None, first)
    later = START + 5 * RATE.period
    _, second, _ = made.kernel(first, 1, later)
    assert made.settle(second, -1, receipts, later)[1:] == (None, 0, 0)


@pytest.mark.parametrize("strategy", [each for each in STRATEGIES if each != TokenBucket(debt=4)], ids=repr)
@given(data=st.data())
def test_without_a_receipt_the_units_taken_last_are_given_back(strategy, data):
    rate = data.draw(small_rates)
    key = data.draw(keys(strategy, rate))
    made = plan(strategy, [rate])
    key.now += made.kernel(key.state, 1, key.now)[0].retry_after
    before = made.kernel(key.state, 0, key.now)[0].remaining
    _, changed, _, granted = made.take_up_to(key.state, data.draw(st.integers(1, made.capacity)), key.now)
    settled = made.settle(changed, -1, None, key.now)
    assert (settled.applied, settled.decision.remaining) == (-1, before - granted + 1)


def moves_within(period):
    """Pauses before hits, and their costs."""
    return st.lists(st.tuples(st.integers(0, period), st.integers(1, 3)), max_size=8)


class World:
    """A key with or without one additional hit."""

    def __init__(self, strategy, rate):
        self.strategy, self.made, self.state = strategy, plan(strategy, [rate]), None

    def change(self, rate):
        self.made = plan(self.strategy, [rate])
        return self

    def hit(self, cost, now):
        decision, changed, _ = self.made.kernel(self.state, cost, now)
        before, self.state = self.state, self.state if changed is None else changed
        return self.made.receipt(before, self.state) if decision.allowed else None

    def give_back(self, units, receipts, now):
        changed = self.made.settle(self.state, -units, receipts, now).state
        self.state = self.state if changed is None else changed


@pytest.mark.parametrize("strategy", [*WINDOWS, *METERS], ids=repr)
@given(data=st.data())
def test_a_rate_that_changes_in_between_makes_it_no_more_generous(strategy, data):
    first, second = data.draw(st.tuples(small_rates, small_rates))
    worlds, moves = [World(strategy, first), World(strategy, first)], moves_within(first.period)
    now = hit_both(worlds, data.draw(moves), START)
    cost = data.draw(st.integers(1, worlds[0].made.capacity))
    receipts = worlds[0].hit(cost, now)
    assume(receipts is not None)
    worlds[1].hit(0, now)  # Until now, both have drained at the first rate.
    now = hit_both(worlds, data.draw(moves), now)
    now = hit_both([world.change(second) for world in worlds], data.draw(moves), now)
    worlds[0].give_back(cost, receipts, now)
    answers = [kernel_answers(strategy, second, world.state, now) for world in worlds]
    assert all(with_hit <= without for with_hit, without in zip(*answers, strict=True))


def test_with_larger_cells_units_of_a_later_hit_are_not_given_back():
    world = World(SlidingWindow(resolution=2), Rate(2, 30))  # one moment for each hit
    now = START - START % 16
    receipts = world.hit(1, now + 1)
    world.hit(1, now + 5)
    world.change(Rate(3, 32))  # one moment for each 16 µs
    world.give_back(1, receipts, now + 31)
    assert world.made.kernel(world.state, 0, now + 31)[0].remaining == 2


def test_a_count_that_a_lowered_limit_has_cut_is_not_given_back():
    world = World(SlidingCounter(), Rate(10, 1000))
    receipts = world.hit(10, START)
    world.change(Rate(4, 1000))
    world.hit(1, START + 1900)
    assert world.state[3] == 4
    assert world.made.settle(world.state, -5, receipts, START + 1900)[1:] == (None, 0, 0)


@pytest.mark.parametrize("strategy", [SlidingWindow(), SlidingLog()], ids=repr)
def test_no_more_is_given_back_than_the_moment_of_the_hit_holds(strategy):
    world = World(strategy, RATE)
    receipts = world.hit(2, START)
    world.hit(3, START + 500)
    settled = world.made.settle(world.state, -4, receipts, START + 500)
    assert (settled.applied, settled.decision.remaining) == (-2, 7)


def hit_both(worlds, moves, now):
    """Make the hits that the first world admits in both; the time afterwards."""
    for pause, cost in moves:
        now += pause
        if worlds[0].hit(cost, now) is not None:
            worlds[1].hit(cost, now)
    return now


@every_strategy
@given(data=st.data())
def test_after_the_clock_has_gone_back_it_gives_back_no_more(strategy, data):
    rate = data.draw(small_rates)
    key = data.draw(keys(strategy, rate))
    made = plan(strategy, [rate])
    taken = made.take_up_to(key.state, data.draw(st.integers(1, made.capacity)), key.now)
    assume(taken[3] > 0)
    receipts = made.receipt(key.state, taken[1])
    back = data.draw(st.integers(1, 2 * rate.period) | st.just(100 * rate.period))
    earlier = made.settle(taken[1], -taken[3], receipts, key.now - back).decision
    assert earlier.remaining <= made.settle(taken[1], -taken[3], receipts, key.now).decision.remaining
