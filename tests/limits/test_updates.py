"""Changing the rate of a limit while it is in use."""

from __future__ import annotations

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
