"""Several rates as one decision, and users' strategies."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.walks import START, STRATEGIES, Key, Step, model, small_rates
from traffik import NEVER, Decision, FixedWindow, Penalty, Rate, RateError, SlidingWindow, TokenBucket, Transition
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
    assert plan(Coin(), PAIR).capacity == plan(FixedWindow(), []).capacity == 2**31 - 1


@pytest.mark.parametrize("rates", [PAIR, PAIR[::-1]])
def test_a_cost_that_never_fits_names_the_rate_that_refuses_it(rates):
    made = plan(FixedWindow(), rates)
    assert made.without_store(4) == Decision(False, 3, 3, NEVER, 0, PAIR[0])
    assert made.bounds == tuple((rate.limit, rate) for rate in rates)


def test_if_several_rates_refuse_a_cost_for_good_the_first_one_is_named():
    rates = [Rate(3, 5000), Rate(3, 1000)]
    assert plan(FixedWindow(), rates).without_store(4).rate == rates[0]


@pytest.mark.parametrize(("rates", "ceiling"), [(PAIR, 3), ([], -1), ([Rate(2**31 + 5, 10**6)], 2**31 - 1)])
def test_a_store_is_asked_for_costs_up_to_the_ceiling(rates, ceiling):
    assert plan(FixedWindow(), rates).ceiling == ceiling


def test_only_a_strategy_that_says_so_cannot_decide_without_consuming():
    assert [plan(each, PAIR).stats for each in (Coin(), Idle(), FixedWindow())] == [False, True, True]


def test_a_plan_has_a_twin_for_each_rate_if_its_strategy_has_one():
    rates = [PAIR[0], Rate.parse("3/day tz=UTC")]
    assert [twin.name for twin in plan(FixedWindow(), rates).twins] == ["fixed_window", "calendar_window"]
    assert plan(Idle(), rates).twins is plan(Idle(), rates[1:]).twins is None


@pytest.mark.parametrize(
    ("strategy", "rate", "error", "message"),
    [
        (FixedWindow, "3/min", TypeError, "such as FixedWindow"),
        ("fixed", "3/min", TypeError, r"such as SlidingWindow\(\), not 'fixed'"),
        (FixedWindow(), "3/min burst 5", RateError, "has no burst"),
        (TokenBucket(), "3/day tz=UTC", None, None),
        (TokenBucket(), "3/min burst 5", None, None),
        (Penalty(), "3/day tz=UTC", RateError, "give it a length of time"),
    ],
)
def test_a_strategy_that_cannot_count_a_rate_is_an_error(strategy, rate, error, message):
    with pytest.raises(error, match=message) if error else nullcontext():
        plan(strategy, [Rate.parse(rate)])


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


def test_a_users_strategy_gets_its_own_state_and_its_decision_with_a_rate_is_kept():
    class Recording:
        def decide(self, *given):
            calls.append(given)
            return Transition(Decision(True, 1, 0, rate=PAIR[1]), ("new",), 7)

    calls, kernel = [], plan(Recording(), PAIR[:1]).kernel
    decision, state, ttl = kernel((START + 5, ("old",)), 2, START)
    assert (decision.rate, state, ttl) == (PAIR[1], (START + 7, ("new",)), 7)
    kernel((START, ("old",)), 2, START)
    assert calls == [(("old",), PAIR[0], 2, START), (None, PAIR[0], 2, START)]


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
    assert key.kernel(key.state, 2, key.now)[1:] == (None, 0)


def test_a_probe_has_the_remaining_quota_and_the_wait_for_one_unit():
    kernel = plan(FixedWindow(), PAIR[:1]).kernel
    _, state, _ = kernel(None, 2, START)
    assert probe(kernel, state, START)[2:4] == (1, 0)
    _, state, _ = kernel(state, 1, START)
    assert probe(kernel, state, START + 10)[2:4] == (0, 990)
