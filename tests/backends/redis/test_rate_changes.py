"""A limit that changes while keys are in use: earlier usage still counts, also between one rate and several."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.walks import every_strategy
from traffik import BackendError, FixedWindow, Limiter, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.redis import Cluster, RedisBackend
from traffik.model.rates import parse_rates

pytestmark = pytest.mark.anyio

FIRST, SECOND = "9/day", "9/day; 90/week"


@pytest.fixture
async def store(redis_server):
    async with RedisBackend(redis_server.url, on_error="raise", deadline=5) as store:
        yield store


async def left(store, rate, strategy, cost=1):
    """Hit once; the quota left."""
    return (await Limiter("t", rate, strategy=strategy, backend=store).hit("a", cost)).remaining


@every_strategy
@pytest.mark.parametrize("rates", [(FIRST, SECOND), (SECOND, FIRST)], ids=["a rate comes", "a rate goes"])
async def test_earlier_usage_still_counts(store, strategy, rates):
    before = await left(store, rates[0], strategy)
    assert await left(store, rates[1], strategy) == max(0, before - 1)


@every_strategy
async def test_a_callable_rate_counts_earlier_usage_under_a_fixed_one(store, strategy):
    before = await left(store, FIRST, strategy)
    assert await left(store, lambda _: FIRST, strategy) == max(0, before - 1)


async def test_lowering_a_limit_grants_nothing_and_raising_it_grants_the_difference(store):
    remaining = [await left(store, rate, None) for rate in ("9/day", "3/day", "2/day", "12/day")]
    assert remaining == [8, 1, 0, 9]


ANSWERS = [
    ("5/hour", "9/month tz=Asia/Tokyo"),
    ("9/hour", "5/day; 9/hour"),
    ("7/day tz=UTC", "7/day tz=Europe/Berlin", "90/hour; 9/min"),
    ("9/week; 4/year", "unlimited", "3/day"),
]


FULL = [SlidingWindow(), SlidingLog(), SlidingCounter(), FixedWindow(), TokenBucket()]
"""Strategies that admit their limit at once, and no more."""


class Own(SlidingWindow):
    """A user's strategy, which Python decides."""

    __slots__ = ()

    def decide(self, state, rate, cost, now):
        return SlidingWindow.decide(self, state, rate, cost, now)


async def assert_every_hit_counts(store, strategy):
    """Assert that hits count for all rates that a function has returned, from when it returned them first."""
    turns = ["unlimited"]
    limiter = Limiter("turns", lambda _: turns[-1], strategy=strategy, backend=store)
    for answers in ANSWERS:
        counted = {}
        for answer in itertools.islice(itertools.cycle(answers), 60):
            turns.append(answer)
            rates = parse_rates(answer)
            if await limiter.hit(str(answers)) and rates:
                counted = {str(each): 0 for each in rates} | counted
                counted = {text: count + 1 for text, count in counted.items()}
                assert all(counted[str(each)] <= each.limit for each in rates), (answers, counted)


@pytest.mark.parametrize("strategy", [*FULL, Own()], ids=repr)
async def test_a_hit_counts_for_all_rates_that_a_function_has_returned(store, strategy):
    await assert_every_hit_counts(store, strategy)


async def test_on_a_cluster_it_does_too(redis_cluster):
    async with RedisBackend(
        Cluster([f"127.0.0.1:{redis_cluster.primaries[0].port}"]), on_error="raise", deadline=5
    ) as store:
        await assert_every_hit_counts(store, SlidingWindow())


KINDS = [("10/hour", "10/month"), ("10/month", "10/hour; 90/day"), ("10/hour; 90/day", "10/week tz=UTC; 90/day")]


@pytest.mark.parametrize("strategy", FULL, ids=repr)
async def test_a_reservation_from_before_another_kind_of_period_grants_nothing(store, strategy):
    for before, after in KINDS:
        limiter = Limiter("jobs", before, strategy=strategy, backend=store)
        for actual in (0, 7):
            await limiter.reset(before)
            limiter.update(rate=before)
            async with limiter.reserve(before, 5) as held:
                limiter.update(rate=after)
                assert await limiter.take_up_to(before, 12) in {5, 10}
                await held.commit(actual)
            assert not await limiter.hit(before), (before, after, actual)


async def test_a_reservation_of_a_process_with_another_kind_of_period_changes_nothing(store, redis_server):
    async with RedisBackend(redis_server.url, on_error="raise") as theirs:
        old, new = Limiter("api", "10/hour", backend=store), Limiter("api", "10/month", backend=theirs)
        async with old.reserve("ada", 2) as held:
            assert await new.hit("ada", 10)
            assert (await held.commit(5)).units == 0
        assert not await new.hit("ada")


async def test_hits_of_later_calendar_periods_are_foreseen_as_in_memory(store):
    for rate in ("2/week tz=Europe/Berlin", "3/week tz=Asia/Tokyo; 9/month; 1/2day", "1/day tz=UTC; 1/90day"):
        with InMemoryBackend(clock=time.time_ns) as memory:
            near, far = (Limiter(f"for:{len(rate)}", rate, backend=each) for each in (memory, store))
            days = [
                [each.wait_seconds // 3600 for each in await limiter.plan(rate, [1] * 12)] for limiter in (near, far)
            ]
        assert days[0] == days[1]
        assert days[0][-1] > 24 * 7 * 3


async def test_a_server_whose_clock_is_a_period_away_is_an_error(store, monkeypatch):
    limiter = Limiter("far", "10/day tz=UTC", backend=store)
    assert await limiter.hit("a")
    now = time.time_ns()
    monkeypatch.setattr("traffik.backends.redis.script.time.time_ns", lambda: now + 3 * 86_400 * 10**9)
    for _ in range(9):
        with pytest.raises(BackendError, match="differ by a whole calendar period"):
            await limiter.hit("a")
    assert await Limiter("near", "10/min", backend=store).hit("a")  # the breaker is closed
