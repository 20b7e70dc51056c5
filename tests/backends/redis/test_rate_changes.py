"""A limit that changes while keys are in use: earlier usage still counts, also between one rate and several."""

from __future__ import annotations

import pytest

from tests.walks import STRATEGIES
from traffik import Limiter
from traffik.backends.redis import RedisBackend

pytestmark = pytest.mark.anyio

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
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
