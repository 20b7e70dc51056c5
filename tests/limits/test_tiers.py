"""Tiers: rates by the name that a function returns. Usage follows a client to another tier."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toy import Request
from traffik import (
    AllOf,
    ConfigurationError,
    FixedWindow,
    HTTPThrottle,
    Limiter,
    RateError,
    SlidingCounter,
    SlidingWindow,
    Tiers,
    TokenBucket,
)
from traffik.backends.inmemory import InMemoryBackend
from traffik.notices import said
from traffik.testing import VirtualClock

RATES = {"free": "100/hour", "pro": ["20/s", "5,000/hour"], "max": "unlimited"}
STRATEGIES = [SlidingWindow(), SlidingCounter(), FixedWindow(), TokenBucket()]
pytestmark = pytest.mark.anyio


def plan_of(identity):
    return PLANS.get(identity)


async def plan_later(identity, context):
    return context.get("plan", "free")


PLANS = {}


@pytest.fixture(autouse=True)
def plans():
    PLANS.clear()
    return PLANS


@pytest.fixture
def limiter(store):
    return Limiter("api", Tiers(RATES, plan_of, default="free"), backend=store)


def left(limiter):
    return limiter.sync.stat("ada").hits_remaining


def test_each_client_has_the_rates_of_its_tier(limiter, plans):
    plans.update(ada="pro", bob="max")
    found = {who: limiter.sync.stat(who) for who in ("ada", "bob", "cy")}
    assert {who: str(stat.rate) for who, stat in found.items()} == {"ada": "20/s", "bob": "unlimited", "cy": "100/hour"}
    assert limiter.policies(limiter.sync.hit("cy")).field == '"api";q=100;w=3600'


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
@given(moves=st.lists(st.tuples(st.sampled_from(["free", "pro", "max"]), st.integers(1, 20)), max_size=12))
def test_usage_follows_to_every_other_tier(strategy, moves):
    with InMemoryBackend(clock=(clock := VirtualClock())) as store:
        limiter, used = Limiter("api", Tiers(RATES, plan_of), strategy=strategy, backend=store), 0
        for tier, cost in moves:
            PLANS["ada"] = tier
            used += cost * bool(tier != "max" and limiter.sync.hit("ada", cost))
            clock.advance(seconds=1)
            PLANS["ada"] = "free"
            # a second refills a bucket by up to 5000 / 3600 units
            refilled = len(moves) * 5000 // 3600 + 1 if strategy == TokenBucket() else 0
            assert left(limiter) <= max(0, 100 - used + refilled)


async def test_the_function_may_be_async_and_gets_the_context(store):
    limiter = Limiter("api", Tiers(RATES, plan_later), backend=store)
    assert str((await limiter.stat("ada", context={"plan": "pro"})).rate) == "20/s"
    assert str((await limiter.stat("ada")).rate) == "100/hour"
    with pytest.raises(TypeError, match="is async"):
        limiter.sync.hit("ada")


def test_an_unknown_tier_without_a_default_is_an_error_before_anything_is_counted(store, plans):
    limiter = Limiter("api", Tiers(RATES, plan_of), backend=store)
    for unknown in ("gold", None, 5, ["free"]):
        plans["ada"] = unknown
        with pytest.raises(
            ConfigurationError, match=r"plan_of has returned .*not one of the tiers 'free', 'pro', 'max'"
        ):
            limiter.sync.hit("ada")
    assert store.keys == 0


def test_an_unknown_tier_counts_by_the_default_with_one_notice(limiter, plans):
    for unknown in ("gold", "silver"):
        plans["ada"] = unknown
        limiter.sync.hit("ada")
    (notice,) = [each for each in said() if each.id == "unknown-tier"]
    assert "plan_of has returned 'gold'" in notice.sentence
    assert left(limiter) == 98


def test_scopes_and_other_limits_in_one_decision_count_by_the_tier(store, plans):
    tiers = Tiers({"free": "1/hour", "pro": "2/hour"}, lambda request: plans["tier"])
    api = HTTPThrottle("api", tiers, backend=store)
    both = AllOf(api, HTTPThrottle("all", "9/hour", backend=store))
    plans["tier"] = "pro"
    for _ in range(2):
        both.sync.hit(Request())
    assert not both.sync.check(Request())
    plans["tier"] = "free"
    assert not api.sync.check(Request())
    assert api.sync.check(Request(), context={"scope": "upload"})


def test_a_shadow_of_a_limit_with_tiers_refuses_nothing(store):
    limiter = Limiter("api", Tiers({"free": "1/hour"}, plan_of, default="free"), shadow=True, backend=store)
    assert [bool(limiter.sync.hit("ada")) for _ in range(3)] == [True] * 3
    assert limiter.shadow_report[:2] == (1, 2)


def test_tiers_are_updated_with_other_tiers_only(limiter):
    limiter.sync.hit("ada", 60)
    limiter.update(rate=limiter.rate.with_rates({"free": "50/hour"}, default="free"))
    assert not limiter.sync.hit("ada")
    with pytest.raises(ConfigurationError, match="tiers are updated with other Tiers only"):
        limiter.update(rate="5/min")
    with pytest.raises(RateError, match="usage does not follow from '50/hour' to '5/month"):
        limiter.update(rate=limiter.rate.with_rates({"free": "5/month"}))


def test_limits_with_equal_tiers_are_the_same_limit(store):
    tables = [Tiers(RATES, plan_of), Tiers(dict(RATES), plan_of), pickle.loads(pickle.dumps(Tiers(RATES, plan_of)))]
    limits = [Limiter("api", table, backend=store) for table in tables]
    assert tables[0] == tables[1] == tables[2] != Tiers(RATES, plan_of, default="free")
    assert copy.deepcopy(limits[0]).definition == limits[1].definition
    assert "'pro': '20/s; 5000/hour'" in repr(limits[0])


@pytest.mark.parametrize(
    ("rates", "options", "why"),
    [
        ({}, {}, "tiers are rates by name, such as"),
        (["free"], {}, r"not \['free'\]"),
        ({5: "1/s"}, {}, "tiers are rates by name"),
        ({"free": "1/parsec"}, {}, "tier 'free': 'parsec' is not a unit of time"),
        ({"free": "1/s"}, {"default": "pro"}, "the default is one of the tiers 'free', not 'pro'"),
        ({"free": "1 MB/s", "pro": "9/s"}, {}, "name the same unit in both"),
        ({"free": "9/day", "pro": "9/month"}, {}, "usage does not follow from '9/day' to '9/month tz=UTC'"),
        ({"free": "9/s burst 20"}, {}, "tier 'free': SlidingWindow.* has no burst"),
    ],
)
def test_a_mistake_is_an_error_when_the_limit_is_made(rates, options, why, store):
    with pytest.raises((TypeError, ValueError), match=why):
        Limiter("api", Tiers(rates, plan_of, **options), backend=store)
    with pytest.raises(TypeError, match="the tier function 5 cannot be called"):
        Tiers({"free": "1/s"}, 5)


def test_a_limit_knows_the_rates_of_all_its_tiers():
    limiter = Limiter("tiers", Tiers(RATES, plan_of, default="free"))
    assert [str(rate) for rate in limiter.known_rates] == ["100/hour", "20/s", "5000/hour"]
