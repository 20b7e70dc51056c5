"""Changing the rate of a limit while it is in use."""

from __future__ import annotations

import itertools

import pytest

from traffik import (
    GCRA,
    ConfigurationError,
    FixedWindow,
    LeakyBucket,
    Limiter,
    RateError,
    SlidingCounter,
    SlidingLog,
    SlidingWindow,
    TokenBucket,
)
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend

STRATEGIES = [SlidingWindow(), SlidingLog(), SlidingCounter(), FixedWindow(), TokenBucket(), GCRA(), LeakyBucket()]


@pytest.fixture(params=["memory", "lmdb"])
def store(request, clock, tmp_path):
    if request.param == "memory":
        return InMemoryBackend(clock=clock)
    tmp_path.chmod(0o700)
    return LMDBBackend(tmp_path / "quota", clock=clock, on_error="raise")


@pytest.fixture(params=STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def limiter(store, request):
    with store:
        yield Limiter("api", "10/min", strategy=request.param, backend=store)


def left(limiter):
    return limiter.sync.stat("ada").hits_remaining


def test_lowering_a_limit_grants_no_fresh_quota(limiter):
    limiter.sync.hit("ada", 6)
    limiter.update(rate="5/min")
    assert not limiter.sync.hit("ada")


def test_raising_a_limit_adds_to_the_remaining_quota(limiter):
    limiter.sync.hit("ada", 10)
    limiter.update(rate="1000/min")
    assert limiter.sync.hit("ada")


def test_usage_still_counts_when_a_limit_gets_a_second_rate_and_loses_it(limiter):
    limiter.sync.hit("ada", 6)
    limiter.update(rate="10/min; 100/hour")
    assert left(limiter) <= 4
    limiter.sync.hit("ada", 2)
    limiter.update(rate="10/min")
    assert left(limiter) <= 2


def test_raising_a_limit_makes_no_wait_longer(limiter):
    limiter.sync.hit("ada", 10)
    before = limiter.sync.check("ada").retry_after
    limiter.update(rate="20/min")
    assert limiter.sync.check("ada").retry_after <= before


class TestUpdateOfAProcess:
    def test_it_changes_every_limit_with_the_same_uid_and_definition(self, clock):
        with InMemoryBackend(clock=clock) as store:
            one, two = (Limiter("api", "1/min", backend=store) for _ in range(2))
            one.update(rate="5/min")
            assert [bool(each.sync.hit("ada")) for each in (one, two, one)] == [True] * 3

    def test_an_invalid_rate_changes_nothing(self, clock):
        with InMemoryBackend(clock=clock) as store:
            limiter = Limiter("api", "1/min", backend=store)
            with pytest.raises(RateError):
                limiter.update(rate="5")
            assert [bool(limiter.sync.hit("ada")) for _ in range(2)] == [True, False]

    def test_a_rate_function_cannot_be_changed(self):
        with pytest.raises(ConfigurationError, match="comes from a function"):
            Limiter("api", lambda identity: "1/min").update(rate="5/min")


RATES = [
    "10/min",
    "10/month",
    "10/min; 20/hour",
    "10/min; 20/month",
    "10/month; 20/min",
    "10/month; 20/year",
    "20/hour",
]


def test_each_rate_goes_on_with_what_was_used_under_one_of_its_kind(limiter):
    for before, after in itertools.product(RATES, RATES):
        limiter.sync.reset("ada")
        limiter.update(rate=before)
        assert limiter.sync.hit("ada", 4)
        limiter.update(rate=after)
        kinds = {is_calendar(rate) for rate in before.split("; ")}
        remaining = min(limit_of(rate) - 4 * (is_calendar(rate) in kinds) for rate in after.split("; "))
        assert left(limiter) == remaining, (before, after)
        assert limiter.sync.hit("ada", 2).remaining == remaining - 2
        assert limiter.sync.refund("ada", 2).remaining == remaining
        assert not limiter.sync.hit("ada", remaining + 1)


def is_calendar(rate):
    return rate.endswith(("month", "year"))


def limit_of(rate):
    return int(rate.partition("/")[0])


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_a_rate_function_may_mix_lengths_of_time_and_calendar_periods(store, strategy):
    turns = []
    with store:
        limiter = Limiter("api", lambda identity: RATES[turns[-1]], strategy=strategy, backend=store)
        for turn in [*range(len(RATES)), *reversed(range(len(RATES)))]:
            turns.append(turn)
            assert limiter.sync.hit("ada") is not None
            assert limiter.sync.refund("ada", 1)
            assert limiter.sync.stat("ada").hits_remaining > 0


CHANGES = ["10/hour; 20/day", "10/month", "10/hour; 20/month", "10/month; 20/day"]


def test_a_reservation_from_before_a_change_leaves_other_clients_as_they_are(limiter):
    for after, actual in itertools.product(CHANGES, (0, 3)):
        limiter.update(rate="10/hour")
        with limiter.sync.reserve("eve", 2) as held:
            limiter.update(rate=after)
            assert limiter.sync.hit("ada", 8)
            held.commit(actual)
        assert limiter.sync.stat("ada").hits_remaining == 2, (after, actual)
        for name in ("ada", "eve"):
            limiter.sync.reset(name)
