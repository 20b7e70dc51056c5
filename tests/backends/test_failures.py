"""The error policies, and the fallback limiter with its share of each limit."""

from __future__ import annotations

import pytest

from traffik import GCRA, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket
from traffik.backends.base import Charge
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.postings import SETTLE, Posting
from traffik.backends.resilience.failures import Failures
from traffik.model.errors import BackendError
from traffik.model.rates import parse_rates
from traffik.responses.headers import policies
from traffik.strategies import plan

DAY = 86_400_000_000
ERROR = BackendError("away")
WAIT = 2_000_000

STRATEGIES = [
    FixedWindow(),
    SlidingWindow(),
    SlidingLog(),
    TokenBucket(),
    TokenBucket(burst=40),
    GCRA(burst=40),
    LeakyBucket(),
    LeakyBucket(burst=40),
]


def charge(strategy, rates, cost=1, key="ada", **options):
    return Charge("api", plan(strategy, parse_rates(rates), **options), key, cost)


def spent(failures, what):
    """The number of hits admitted at one instant."""
    count = 0
    while failures.decide("fallback", ERROR, what, WAIT).allowed:
        count += 1
    return count


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
@pytest.mark.parametrize("share", [1, 0.5, 0.25, 0.1, 0.001])
def test_each_strategy_admits_its_share_and_no_more(strategy, share):
    what = charge(strategy, "100/day")
    assert spent(Failures("fallback", share), what) == max(1, int(what.plan.capacity * share))


@pytest.mark.parametrize(("cost", "allowed"), [(30, True), (31, False)])
def test_burst_and_debt_shrink_to_the_share(cost, allowed):
    what = charge(TokenBucket(burst=40, debt=20), "100/day", cost)
    decision = Failures("fallback", 0.5).decide("fallback", ERROR, what, WAIT)
    assert (decision.allowed, decision.never) == (allowed, False)


@pytest.mark.parametrize("share", [1, 0.5, 0.1])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_several_rates_keep_the_names_of_their_policies(strategy, share):
    what = charge(strategy, "50/s; 200/day")
    names = policies("api", what.plan.rates)
    failures = Failures("fallback", share)
    for _ in range(60):
        decision = failures.decide("fallback", ERROR, what, WAIT)
        assert decision.rate in what.plan.rates
        assert names.headers(decision)


def test_rates_that_shrink_to_equal_ones_stay_separate_or_become_one():
    what = charge(FixedWindow(), "4/min; 5/min")
    failures = Failures("fallback", 0.1)
    assert spent(failures, what) == 1
    assert failures.decide("fallback", ERROR, what, WAIT).rate in what.plan.rates


def test_a_cost_above_the_share_waits_until_the_store_is_asked_again():
    decision = Failures("fallback", 0.1).decide("fallback", ERROR, charge(FixedWindow(), "100/day", 50), WAIT)
    assert (decision.allowed, decision.never, decision.retry_after) == (False, False, WAIT)


def test_a_share_of_a_limit_above_0_is_at_least_1():
    assert spent(Failures("fallback", 0.01), charge(FixedWindow(), "0/min")) == 0
    assert spent(Failures("fallback", 0.01), charge(FixedWindow(), "3/min")) == 1


def test_a_users_strategy_gets_the_share_of_the_rate():
    class Mine:
        def decide(self, state, rate, cost, now):
            return FixedWindow().decide(state, rate, cost, now)

    assert spent(Failures("fallback", 0.1), charge(Mine(), "100/day")) == 10


def test_a_key_may_be_counted_under_several_rates():
    failures = Failures("fallback", 0.5)
    assert spent(failures, charge(SlidingWindow(), "10/day", varying=True)) == 5
    assert spent(failures, charge(SlidingWindow(), "20/day", varying=True)) == 5


def test_each_policy_gives_a_decision_or_raises():
    failures, what = Failures("allow", 1), charge(FixedWindow(), "1/day")
    assert [failures.decide("allow", ERROR, what, WAIT).degraded for _ in range(2)] == ["allow"] * 2
    refusal = failures.decide("throttle", ERROR, what, WAIT)
    assert (refusal.allowed, refusal.degraded, refusal.retry_after) == (False, "unavailable", WAIT)
    with pytest.raises(BackendError, match="away"):
        failures.decide("raise", ERROR, what, WAIT)


def test_the_quota_used_can_be_forgotten():
    failures, what = Failures("fallback", 1), charge(FixedWindow(), "3/day")
    assert spent(failures, what) == 3
    failures.reset()
    assert spent(failures, what) == 3


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan"), True, "1"])
def test_a_share_is_above_0_and_at_most_1(share):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Failures("fallback", share)


@pytest.mark.parametrize("policy", ["ignore", None, 1])
def test_any_other_policy_is_an_error_that_lists_them(policy):
    with pytest.raises(ValueError, match=r"on_error is one of fallback, allow, throttle, raise, or a function"):
        Failures(policy, 1)


def test_units_charged_while_the_store_is_away_are_missing_in_the_fallback():
    failures, what = Failures("fallback", 1), charge(FixedWindow(), "3/day")
    account = InMemoryBackend().account(what.uid, what.plan)
    (posted,) = failures.post(["fallback"], ERROR, [Posting(SETTLE, account, "ada", 2)], WAIT)
    assert (posted.units, posted.decision.degraded) == (2, "fallback")
    assert spent(failures, what) == 1
