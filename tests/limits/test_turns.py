"""A rate function that returns other rates at each call: every hit counts for each of them."""

from __future__ import annotations

import time
from random import Random

import pytest

from traffik import (
    GCRA,
    FixedWindow,
    Limiter,
    SlidingCounter,
    SlidingLog,
    SlidingWindow,
    TokenBucket,
)
from traffik.backends.clocks import plan_on
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.model.rates import parse_rates
from traffik.strategies import plan

MINUTE = 60_000_000
ANSWERS = [
    "5/min",
    "9/min",
    "5/min; 30/day",
    "30/day; 20/hour; 9/min",
    "30/day tz=Asia/Tokyo; 5/min",
    "9/hour",
    "12/day tz=UTC",
    "12/day tz=Asia/Tokyo",
    "40/month",
]
STRATEGIES = [SlidingWindow(), SlidingLog(), SlidingCounter(), FixedWindow(), TokenBucket(), GCRA()]
MONOTONOUS = [SlidingWindow(), SlidingLog(), TokenBucket(), GCRA(burst=2)]
"""Strategies that admit at least as much if fewer hits were made; windows that begin with a hit are other ones then."""

named = {"ids": lambda strategy: type(strategy).__name__}


@pytest.fixture(params=["memory", "lmdb"])
def store(request, clock, tmp_path):
    tmp_path.chmod(0o700)
    memory = request.param == "memory"
    with (
        InMemoryBackend(clock=clock) if memory else LMDBBackend(tmp_path / "q", clock=clock, on_error="raise") as store
    ):
        yield store


@pytest.fixture
def turning(store):
    """Makes a limiter whose rate is the last of a list."""

    def turning(strategy):
        turns = ["unlimited"]
        return Limiter("api", lambda _: turns[-1], strategy=strategy, backend=store), turns

    return turning


class Witness:
    """One rate, which counts only the hits that were decided by it."""

    def __init__(self, strategy, rate):
        self.kernel, self.state = plan(strategy, [rate]).kernel, None

    def admits(self, now):
        decision, self.state, _ = self.kernel(self.state, 1, now)
        return decision.allowed


@pytest.mark.parametrize("strategy", MONOTONOUS, **named)
def test_no_sequence_of_answers_admits_more_than_each_rate_alone(strategy, turning, clock):
    limiter, turns = turning(strategy)
    for number in range(8):
        chance, witnesses = Random(number), {}
        answers = chance.sample(ANSWERS, chance.choice([2, 2, 3, 5]))
        for _ in range(80):
            turns.append(chance.choice(answers))
            clock.advance(microseconds=chance.choice([0, 1, MINUTE // 7, MINUTE, 50 * MINUTE]))
            if limiter.sync.hit(f"ada {number}"):
                now = clock() // 1000
                for rate in parse_rates(turns[-1]):
                    witness = witnesses.setdefault(str(rate), Witness(strategy, rate))
                    assert witness.admits(now), (number, answers, str(rate))


@pytest.mark.parametrize("strategy", STRATEGIES, **named)
def test_a_hit_counts_for_all_rates_that_have_been_returned(strategy, turning):
    limiter, turns = turning(strategy)
    for number in range(6):
        name, chance, counted = f"ada {number}", Random(number), {}
        answers = chance.sample(ANSWERS, 3)
        for _ in range(60):
            turns.append(chance.choice(answers))
            rates = parse_rates(turns[-1])
            if limiter.sync.hit(name):
                for rate in rates:
                    counted.setdefault(str(rate), 0)
                counted = {rate: count + 1 for rate, count in counted.items()}
                assert all(counted[str(rate)] <= rate.limit for rate in rates), (number, answers)


@pytest.mark.parametrize("strategy", STRATEGIES, **named)
def test_a_rate_that_is_returned_no_more_keeps_nobody_out(strategy, turning, clock):
    limiter, turns = turning(strategy)
    turns.append("3/day; 9/min")
    assert [bool(limiter.sync.hit("ada")) for _ in range(4)] == [True] * 3 + [False]
    turns.append("9/min")
    assert sum(bool(limiter.sync.hit("ada")) for _ in range(9)) == 6
    clock.advance(microseconds=3 * 1440 * MINUTE)
    turns.append("3/day")
    assert sum(bool(limiter.sync.hit("ada")) for _ in range(9)) == 3


def test_on_a_monotonic_clock_a_former_calendar_period_is_kept_until_it_ends():
    month, hour = (plan(SlidingWindow(), parse_rates(rate), varying=True) for rate in ("9/month", "9/hour"))
    _, state, _ = plan_on(time.monotonic_ns, month).kernel(None, 1, time.monotonic_ns() // 1000)
    _, state, ttl = plan_on(time.monotonic_ns, hour).kernel(state, 1, time.monotonic_ns() // 1000)
    assert 60 * MINUTE <= ttl <= 31 * 1440 * MINUTE
    assert state[1][0][1] - time.monotonic_ns() // 1000 <= ttl


def test_a_reservation_is_settled_by_the_rate_that_has_counted_it(turning):
    limiter, turns = turning(None)
    turns.append("10/hour")
    with limiter.sync.reserve("ada", 4) as held:
        turns.append("20/month; 30/day")
        assert limiter.sync.hit("ada", 5)
        held.commit(1)
        assert limiter.sync.stat("ada").hits_remaining == 15
    turns.append("10/hour")
    assert limiter.sync.stat("ada").hits_remaining == 4


@pytest.mark.parametrize("strategy", STRATEGIES, **named)
@pytest.mark.parametrize(("before", "after"), [("10/hour", "10/month"), ("10/month", "10/hour; 90/day")])
def test_a_reservation_from_before_another_kind_of_period_grants_nothing(store, strategy, before, after):
    limiter = Limiter("api", before, strategy=strategy, backend=store)
    for actual in (0, 3, 7):
        limiter.sync.reset("ada")
        limiter.update(rate=before)
        with limiter.sync.reserve("ada", 5) as held:
            limiter.update(rate=after)
            assert sum(bool(limiter.sync.hit("ada")) for _ in range(12)) == 10
            held.commit(actual)
        assert not limiter.sync.hit("ada"), actual


def test_a_reservation_of_a_process_with_another_kind_of_period_changes_nothing(clock, tmp_path):
    tmp_path.chmod(0o700)
    ours, theirs = (LMDBBackend(tmp_path / "q", clock=clock, on_error="raise") for _ in range(2))
    with ours, theirs:
        old, new = Limiter("api", "10/hour", backend=ours), Limiter("api", "10/month", backend=theirs)
        with old.sync.reserve("ada", 2) as held:
            assert new.sync.hit("ada", 10)
            assert held.commit(5).units == 0
        assert not new.sync.hit("ada")
