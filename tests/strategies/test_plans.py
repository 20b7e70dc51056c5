"""Several rates as one decision, and users' strategies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import START, STRATEGIES, Key, Step, model, small_rates
from traffik import Decision, FixedWindow, Rate, SlidingWindow, TokenBucket, Transition
from traffik.strategies import plan, probe

PAIR = [Rate(3, 1000), Rate(5, 10_000)]
several = st.lists(small_rates, min_size=1, max_size=3, unique=True)
walks = st.lists(st.builds(Step, st.integers(0, 80), st.integers(1, 6)), max_size=30)


class Coin:
    """A user's strategy without state and waits."""

    stats = False

    def decide(self, state, rate, cost, now):
        return Transition(Decision(True, rate.limit, 0), None, 0)


class Idle:
    """A user's strategy: the quota is whole again after a period without a hit."""

    def decide(self, state, rate, cost, now):
        used = (state or (0,))[0] + cost
        decision = Decision(used <= rate.limit, rate.limit, max(0, rate.limit - used))
        return Transition(decision, (used,), rate.period)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
@given(several, walks)
def test_several_rates_admit_a_hit_if_all_of_them_do(strategy, rates, walk):
    key, exact = Key(plan(strategy, rates).kernel), [model(strategy, rate) for rate in rates]
    for pause, cost in walk:
        key.now += pause
        allowed = all(each.admits(cost, key.now) for each in exact)
        waits = [each.wait(cost, key.now) for each in exact]
        if allowed:
            for each in exact:
                each.take(cost, key.now)
        decision = key.hit(cost)
        assert decision.allowed is allowed
        assert decision.retry_after == max(waits)
        assert decision.remaining == min(each.remaining(key.now) for each in exact)


def test_the_decision_names_the_rate_that_binds():
    key = Key(plan(FixedWindow(), PAIR).kernel)
    assert key.hit(3).rate == PAIR[0]
    key.now += 1000
    assert key.hit(1).rate == PAIR[1]
    assert key.hit(2).rate == PAIR[1]


def test_a_state_lives_as_long_as_its_longest_part():
    assert plan(FixedWindow(), PAIR).kernel(None, 1, START)[2] == 10_000


def test_the_capacity_is_the_smallest():
    assert plan(FixedWindow(), PAIR).capacity == 3
    assert plan(TokenBucket(2, debt=1), [Rate(9, 10)]).capacity == 3
    assert plan(Coin(), PAIR).capacity == 2**31 - 1


def test_a_cost_that_never_fits_names_the_rate_that_refuses_it():
    decision = plan(FixedWindow(), PAIR).without_store(4)
    assert (decision.allowed, decision.never, decision.limit, decision.rate) == (False, True, 3, PAIR[0])


def test_without_rates_everything_is_admitted_without_a_store():
    unlimited = plan(SlidingWindow(), [])
    assert unlimited.ceiling < 1
    assert unlimited.without_store(2**31 - 1).allowed


def test_a_varying_plan_reads_the_states_of_others():
    one, two = plan(FixedWindow(), PAIR[:1], varying=True), plan(FixedWindow(), PAIR, varying=True)
    _, state, _ = two.kernel(None, 3, START)
    assert not one.kernel(state, 1, START)[0].allowed
    _, state, _ = one.kernel(None, 3, START)
    assert not two.kernel(state, 1, START)[0].allowed


def test_a_users_strategy_may_keep_no_state():
    assert Key(plan(Coin(), PAIR[:1]).kernel).hit(7).allowed


def test_the_rate_is_added_to_a_users_decision():
    assert Key(plan(Idle(), PAIR[:1]).kernel).hit(1).rate == PAIR[0]


def test_the_ttl_of_a_users_state_is_kept_to_the_tick():
    key = Key(plan(Idle(), PAIR[:1]).kernel)
    key.hit(3)
    assert not key.ask(1, key.now + 999).allowed
    assert key.ask(1, key.now + 1000).allowed


def test_a_state_from_a_refusal_by_a_users_strategy_is_not_stored():
    key = Key(plan(Idle(), PAIR[:1]).kernel)
    key.hit(3)
    before = key.state
    key.hit(2)
    assert key.state == before


def test_a_probe_has_the_remaining_quota_and_the_wait_for_one_unit():
    kernel = plan(FixedWindow(), PAIR[:1]).kernel
    _, state, _ = kernel(None, 2, START)
    assert probe(kernel, state, START)[2:4] == (1, 0)
    _, state, _ = kernel(state, 1, START)
    assert probe(kernel, state, START + 10)[2:4] == (0, 990)
