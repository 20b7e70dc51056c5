"""The deny cache: known refusals need no call, and no client is refused longer than announced."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from traffik import GCRA, Decision, Limiter, Transition
from traffik.backends.redis import DenyCache, RedisBackend

pytestmark = pytest.mark.anyio


def calls(server):
    return server.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)


@pytest.fixture
async def store(redis_server):
    cache = DenyCache(staleness=60)
    async with RedisBackend(redis_server.url, on_error="raise", deadline=5, deny_cache=cache) as store:
        yield store


@pytest.fixture(params=["hit", "check"])
def flooding(request, store):
    """Makes a limiter whose quota is spent, and a function that floods it."""

    async def flooding(limit="3/day", cost=3, **options):
        limiter = Limiter("t", limit, backend=store, **options)
        assert await limiter.hit("a", cost)
        assert not await limiter.hit("a")
        return limiter, getattr(limiter, request.param)

    return flooding


async def test_a_known_refusal_costs_no_call(redis_server, flooding):
    _, ask = await flooding()
    before = calls(redis_server)
    assert not any([await ask("a", cost) for cost in (1, 2, 3) for _ in range(10)])
    assert calls(redis_server) == before


async def test_its_wait_counts_down(flooding):
    _, ask = await flooding()
    first, second = await ask("a"), await ask("a")
    assert 0 < second.retry_after < first.retry_after
    assert first.degraded is None


async def test_the_wait_of_a_larger_cost_is_enough(flooding):
    _, ask = await flooding()
    larger = await ask("a", 3)
    assert (larger.degraded, larger.retry_after) == ("cached", larger.reset_after)


async def test_a_smaller_cost_than_the_one_refused_asks_the_store(redis_server, store):
    limiter = Limiter("t", "3/day", backend=store)
    assert [(await limiter.hit("a", cost)).allowed for cost in (2, 2, 1, 1)] == [True, False, True, False]


async def test_other_clients_are_not_refused(flooding):
    limiter, _ = await flooding()
    assert await limiter.hit("b")


async def test_sync_code_shares_it(redis_server, flooding):
    limiter, _ = await flooding()
    before = calls(redis_server)
    assert not limiter.sync.hit("a")
    assert calls(redis_server) == before


async def test_a_reset_of_the_same_store_clears_it_at_once(flooding):
    limiter, ask = await flooding()
    await limiter.reset("a")
    assert await ask("a")


async def test_a_stat_asks_the_store(redis_server, flooding):
    limiter, _ = await flooding()
    before = calls(redis_server)
    assert (await limiter.stat("a")).hits_remaining == 0
    assert calls(redis_server) == before + 1


async def test_another_rate_for_the_key_is_not_refused_from_the_cache(flooding, store):
    await flooding()
    raised = Limiter("t", lambda _: "5/day", backend=store)
    assert await raised.hit("b")


async def test_a_refusal_is_forgotten_when_its_time_has_passed(redis_server):
    cache = DenyCache(staleness=0.001)
    async with RedisBackend(redis_server.url, on_error="raise", deadline=5, deny_cache=cache) as store:
        limiter = Limiter("t", "1/day", backend=store)
        for _ in range(2):
            await limiter.hit("a")
        redis_server.client().flushall()
        while not await limiter.hit("a"):
            pass


@dataclass(frozen=True)
class LargeOnly:
    """A user's strategy that refuses only small costs."""

    def decide(self, state, rate, cost, now):
        allowed = cost > 1
        return Transition(Decision(allowed, rate.limit, 0, 0 if allowed else rate.period), (1,), rate.period)


async def test_a_users_strategy_may_refuse_a_cost_and_admit_a_larger_one(store):
    limiter = Limiter("t", "9/day", strategy=LargeOnly(), backend=store)
    assert [(await limiter.hit("a", cost)).allowed for cost in (1, 2, 1, 2)] == [False, True, False, True]


async def test_an_admission_removes_the_cached_refusal(store):
    limiter = Limiter("t", "9/day", strategy=GCRA(), backend=store)
    assert [(await limiter.hit("a", cost)).allowed for cost in (5, 5, 3)] == [True, False, True]
    fresh = await limiter.hit("a", 5)
    assert (fresh.allowed, fresh.remaining, fresh.degraded) == (False, 1, None)
