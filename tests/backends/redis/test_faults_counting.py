"""Hits are counted at most once, and admitted hits exactly once, under any fault."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.backends.redis.proxy import Fault
from tests.backends.redis.servers import resolve
from tests.backends.redis.ways import Shop
from traffik import FixedWindow, Limiter
from traffik.backends.redis import Breaker, RedisBackend
from traffik.model.errors import BackendError

LIMIT = 2**30
NEVER = Breaker(failures=10**9)  # the breaker never opens, so that as many replies as possible are lost


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


def unwell(proxy, dice):
    """Switch on a random fault of replies; most often none."""
    proxy.fault = dice.choice([None] * 12 + [Fault.DROP_NEXT, Fault.CUT_NEXT])


async def counted(uid, proxy, whose):
    """The units the server has counted, read without the proxy."""
    async with RedisBackend(f"redis://{proxy.host}:{proxy.target}", on_error="raise", deadline=10) as store:
        limiter = Limiter(uid, f"{LIMIT}/day", strategy=FixedWindow(), backend=store)
        return [LIMIT - (await limiter.stat(who)).hits_remaining for who in whose]


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(2))
async def test_random_cancellations_leave_every_hit_counted_once_or_not_at_all(proxy, seed):
    dice = random.Random(seed)
    async with RedisBackend(proxy.url, on_error="raise", deadline=10, max_batch=7) as store:
        limiter = Limiter("cancelled", f"{LIMIT}/day", strategy=FixedWindow(), backend=store)
        proxy.latency_ms = 2
        tasks = {}
        for number in range(250):
            tasks[number] = asyncio.create_task(limiter.hit(f"user:{number}", 2 * number + 1))
            if dice.random() < 0.4:
                await asyncio.sleep(dice.random() * 0.004)  # cancel at any point of a real round trip
            if dice.random() < 0.5:
                tasks[dice.choice(list(tasks)[-30:])].cancel()  # one of the last 30, some of which are under way
        results = await asyncio.gather(*tasks.values(), return_exceptions=True)
    check(results, await counted("cancelled", proxy, [f"user:{number}" for number in tasks]))


def check(results, counts):
    """Assert that each hit has its own answer, and has counted its whole cost or nothing."""
    outcomes = set()
    for number, (result, count) in enumerate(zip(results, counts, strict=True)):
        cost = 2 * number + 1
        cancelled = isinstance(result, asyncio.CancelledError)
        outcomes.add((cancelled, count > 0))
        assert cancelled or result.remaining == LIMIT - cost
        assert count in ({0, cost} if cancelled else {cost})
    assert outcomes == {(False, True), (True, True), (True, False)}


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(2))
async def test_lost_replies_leave_every_hit_counted_once_or_not_at_all(proxy, seed):
    dice = random.Random(seed)
    options = {"on_error": "raise", "deadline": 0.1, "max_batch": 5, "breaker": NEVER}
    async with RedisBackend(proxy.url, **options) as store:
        limiter = Limiter("lost", f"{LIMIT}/day", strategy=FixedWindow(), backend=store)
        outcomes = []
        for turn in range(30):
            unwell(proxy, dice)
            hits = [limiter.hit(f"{turn}:{number}", 2 * number + 1) for number in range(8)]
            outcomes += enumerate(await asyncio.gather(*hits, return_exceptions=True))
    counts = await counted("lost", proxy, [f"{place // 8}:{place % 8}" for place in range(len(outcomes))])
    assert {audit(*outcome, count) for outcome, count in zip(outcomes, counts, strict=True)} == {"told", "lost"}


def audit(number, outcome, count):
    """The outcome of a hit."""
    cost = 2 * number + 1
    if isinstance(outcome, BackendError):
        assert count in ({0, cost} if outcome.maybe_executed else {0})
        return "lost"
    assert (outcome.remaining, count) == (LIMIT - cost, cost)
    return "told"


class Mine:
    """A strategy without a Lua twin: its state is read, decided in Python, and written by compare-and-swap."""

    between = staticmethod(lambda: None)

    def decide(self, state, rate, cost, now):
        self.between()
        return FixedWindow().decide(state, rate, cost, now)


@pytest.mark.parametrize(("lost", "counted"), [("read", 0), ("swap", 10)])
def test_a_strategy_in_python_counts_every_hit_once_or_not_at_all(proxy, way, lost, counted):
    store, mine = RedisBackend(proxy.url, deadline=0.3, on_error="allow", breaker=NEVER), Mine()
    way.open(store)
    one = Shop(way, store, mine)
    assert one.hit().degraded is None
    proxy.drop_next_reply() if lost == "read" else setattr(mine, "between", proxy.drop_next_reply)
    assert one.hit(cost=10).degraded == "allow"
    mine.between = Mine.between
    one.recovered()
    assert one.used() == 1 + counted


def test_threads_count_every_hit_once_or_not_at_all(proxy, shop, way):
    dice = random.Random(1)
    one = shop(deadline=0.2, on_error="allow", breaker=NEVER)
    told = lost = 0
    for _ in range(15):
        unwell(proxy, dice)
        decisions = one.hits(*["ada"] * 16)
        told += sum(each.degraded is None for each in decisions)
        lost += sum(each.degraded == "allow" for each in decisions)
    assert one.store.degraded == {"allow": lost}
    proxy.heal()
    one.recovered()
    assert told <= one.used() <= told + lost
