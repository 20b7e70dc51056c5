"""`Limiter`: sync and async hits count in the same quota."""

from __future__ import annotations

import uuid

import pytest

from traffik import BackendNotFoundError, Limiter, RateError, SlidingLog
from traffik.backends.inmemory import InMemoryBackend

pytestmark = pytest.mark.anyio


async def test_every_form_of_a_hit_counts_in_the_same_quota(store):
    limiter = Limiter("limiter", "4/day", backend=store)
    identity = "42"
    left = [
        (await limiter.hit(identity)).remaining,
        (await limiter.hit(identity, context={"other": 1})).remaining,
        (await limiter.hit(42)).remaining,
        limiter.sync.hit(identity).remaining,
    ]
    assert left == [3, 2, 1, 0]


@pytest.mark.parametrize("identity", ["", "\0a", "x" * 200, uuid.UUID(int=7), 7])
async def test_identities_that_need_conversion_count_exactly(identity, store):
    limiter = Limiter("limiter", "2/day", backend=store)
    assert [(await limiter.hit(identity)).allowed for _ in range(3)] == [True, True, False]


async def test_a_decision_has_all_numbers(store, clock):
    limiter = Limiter("limiter", "2/min", strategy=SlidingLog(), backend=store)
    await limiter.hit("a", 2)
    clock.advance(seconds=20)
    decision = await limiter.hit("a")
    assert decision == (False, 2, 0, 40_000_000, 40_000_000, limiter.own_plan.rates[0], None)


async def test_stat_has_the_wait_for_one_unit(store, clock):
    limiter = Limiter("limiter", "2/min", strategy=SlidingLog(), backend=store)
    assert (await limiter.stat("a")).wait_ms == 0
    await limiter.hit("a", 2)
    assert (await limiter.stat("a"))[:3] == (0, 60_000, limiter.own_plan.rates[0])


async def test_a_missing_store_is_an_error_with_advice():
    limiter = Limiter("limiter", "2/min")
    with pytest.raises(BackendNotFoundError, match="there is no store to count in: give a store, such as"):
        await limiter.hit("a")


async def test_it_follows_the_only_open_store():
    limiter = Limiter("limiter", "1/day")
    for _ in range(2):
        async with InMemoryBackend():
            assert [(await limiter.hit("a")).allowed for _ in range(2)] == [True, False]


async def test_a_second_open_store_is_an_error_at_the_next_hit():
    limiter = Limiter("limiter", "5/day")
    async with InMemoryBackend():
        await limiter.hit("a")
        async with InMemoryBackend():
            with pytest.raises(BackendNotFoundError, match="several stores are open"):
                await limiter.hit("a")
        assert (await limiter.hit("a")).remaining == 3


def test_a_rate_its_strategy_cannot_count_is_refused_at_once(store):
    with pytest.raises(RateError, match="its limits are at most 10000"):
        Limiter("limiter", "10001/min", strategy=SlidingLog(), backend=store)


@pytest.mark.parametrize("strategy", [SlidingLog, "sliding", 5])
def test_an_object_that_is_not_a_strategy_is_refused_at_once(strategy, store):
    with pytest.raises(TypeError, match="a strategy is an object with a decide method"):
        Limiter("limiter", "1/min", strategy=strategy, backend=store)


@pytest.mark.parametrize("cost", [-1, 2**31])
def test_a_cost_out_of_range_is_refused_at_once(cost):
    with pytest.raises(ValueError, match="a cost is from 0"):
        Limiter("limiter", "1/min", cost=cost)


def test_the_repr_of_a_limiter_shows_its_settings():
    shown = "<Limiter uid='a' rate='5/s; 9/min' strategy=SlidingWindow(resolution=16)>"
    assert repr(Limiter("a", "5/s; 9/min")) == shown
    assert "rate='unlimited'" in repr(Limiter("b", "unlimited"))
    assert "the rate" in repr(Limiter("c", lambda: "1/s"))
