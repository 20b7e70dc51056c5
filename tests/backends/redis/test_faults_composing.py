"""Several limits and reservations under each error policy, while the store is unavailable or if it fails in between."""

from __future__ import annotations

import pytest

from tests.backends.redis.servers import resolve, until
from traffik import Limiter, hit_all, reserve_all
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.redis import Breaker, RedisBackend, batches, handshake
from traffik.backends.redis.script import SCRIPT, Script
from traffik.model.errors import BackendError
from traffik.testing.stores import SettlingPeriod

pytestmark = pytest.mark.anyio
LIMIT = 100
quiet_policies = pytest.mark.parametrize(
    "policy",
    ["fallback", "allow", "throttle", lambda error: "allow"],
    ids=["fallback", "allow", "throttle", "function"],
)


@pytest.fixture
def binary():
    """One server program is enough here."""
    return resolve()


@pytest.fixture
def make_limits(proxy):
    """Makes two limits on a store behind the proxy."""

    stores = []

    def make(on_error, strategy=None):
        store = RedisBackend(proxy.url, on_error=on_error, breaker=Breaker(recovery=0.05))
        stores.append(store)
        return [Limiter(f"fault:{n}", f"{LIMIT}/day", strategy=strategy, backend=store) for n in (1, 2)]

    yield make
    for store in stores:
        store.close_sync()


async def left(*limits):
    return [(await limit.stat("a")).hits_remaining for limit in limits]


async def healed(proxy, limit):
    """Wait until the store behind the proxy decides again."""
    proxy.heal()
    while (await limit.check("b")).degraded is not None:
        pass


async def test_the_fallback_takes_all_or_nothing(make_limits, proxy):
    wide, narrow = make_limits("fallback")
    proxy.refuse()
    await narrow.hit("a", 90)
    decisions = [await hit_all("a", wide, narrow, cost=cost) for cost in (10, 1)]
    assert [(decision.allowed, decision.degraded) for decision in decisions] == [
        (True, "fallback"),
        (False, "fallback"),
    ]
    assert await left(wide, narrow) == [90, 0]
    await healed(proxy, wide)
    assert await left(wide, narrow) == [LIMIT, LIMIT]


async def test_a_reservation_of_the_fallback_is_settled_in_the_fallback(make_limits, proxy):
    limits = make_limits("fallback")
    proxy.refuse()
    async with reserve_all("a", *limits, cost=60) as reservation:
        await healed(proxy, limits[0])
        assert (await reservation.commit(10)).units == -50
    assert await left(*limits) == [LIMIT, LIMIT]
    proxy.refuse()
    assert (await hit_all("a", *limits, cost=90)).degraded == "fallback"


async def test_allow_admits_and_counts_nothing(make_limits, proxy):
    limits = make_limits("allow")
    proxy.refuse()
    async with reserve_all("a", *limits, cost=60) as reservation:
        assert reservation.decision.degraded == "allow"
        assert (await reservation.commit(70)).units == 0
    assert await limits[0].take_up_to("a", 500) == 500
    await healed(proxy, limits[0])
    assert await left(*limits) == [LIMIT, LIMIT]


async def test_throttle_refuses(make_limits, proxy):
    limits = make_limits("throttle")
    proxy.refuse()
    async with reserve_all("a", *limits, cost=60) as reservation:
        assert (reservation.decision.allowed, reservation.decision.degraded) == (False, "unavailable")
    assert await limits[0].take_up_to("a", 5) == 0


async def test_raise_raises(make_limits, proxy):
    limits = make_limits("raise")
    proxy.refuse()
    calls = hit_all("a", *limits), reserve_all("a", *limits).__aenter__(), limits[0].charge("a", 1)
    for call in (*calls, limits[0].take_up_to("a", 1), limits[0].plan("a", [1])):
        with pytest.raises(BackendError):
            await call


async def test_a_function_may_answer_for_each_limit(make_limits, proxy):
    one, two = make_limits(lambda error, charge: "allow" if charge.uid == "fault:1" else "fallback")
    proxy.refuse()
    await two.hit("a", LIMIT)
    assert not await hit_all("a", one, two)
    assert await hit_all("b", one, two)


async def test_a_refusal_of_the_function_leaves_the_fallback_as_it_was(make_limits, proxy):
    one, two = make_limits(lambda error, charge: "throttle" if charge.uid == "fault:1" else "fallback")
    proxy.refuse()
    assert not await hit_all("a", one, two, cost=60)
    assert await two.hit("a", LIMIT)


@quiet_policies
async def test_units_that_cannot_be_given_back_stay_taken(make_limits, proxy, policy):
    limits = make_limits(policy)
    async with reserve_all("a", *limits, cost=60) as reservation:
        proxy.refuse()
        assert (await reservation.commit(10)).units == 0
    await healed(proxy, limits[0])
    assert await left(*limits) == [40, 40]


@quiet_policies
async def test_an_error_of_the_work_is_raised_and_not_that_of_settling(make_limits, proxy, policy):
    limits = make_limits(policy)
    with pytest.raises(ZeroDivisionError):
        await fail("a", limits, proxy)


async def test_raise_raises_an_error_of_settling_but_does_not_replace_one_of_the_work(make_limits, proxy):
    limits = make_limits("raise")
    async with reserve_all("a", *limits, cost=60) as reservation:
        proxy.refuse()
        with pytest.raises(BackendError):
            await reservation.commit(10)
    await healed_by_raising(proxy, limits[0])
    with pytest.raises(ZeroDivisionError):
        await fail("b", limits, proxy)


async def fail(identity, limits, proxy):
    """Work that raises after the store has become unavailable."""
    async with reserve_all(identity, *limits, cost=60):
        proxy.refuse()
        raise ZeroDivisionError


async def healed_by_raising(proxy, limit):
    proxy.heal()
    until(lambda: answers(limit), "the store to decide again", 10)


def answers(limit):
    try:
        return limit.sync.check("c").allowed
    except BackendError:
        return False


async def test_if_a_store_fails_the_units_taken_in_another_store_are_given_back(make_limits, proxy):
    (away, _), memory = make_limits("raise"), Limiter("fault:3", "9/day", backend=InMemoryBackend())
    proxy.refuse()
    for limits in ((memory, away), (away, memory)):
        with pytest.raises(BackendError):
            await hit_all("a", *limits)
    assert await left(memory) == [9]


async def test_the_fallback_gives_its_units_back_if_another_store_refuses(make_limits, proxy):
    (away, _), memory = make_limits("fallback"), Limiter("fault:3", "9/day", backend=InMemoryBackend())
    proxy.refuse()
    await memory.hit("a", 9)
    for limits in ((memory, away), (away, memory)):
        assert not await hit_all("a", *limits)
    assert await left(away) == [LIMIT]


async def test_the_fallback_gives_its_units_back_if_the_next_step_refuses(make_limits, proxy):
    first, second = make_limits("fallback", SettlingPeriod())
    await second.hit("a", LIMIT)
    proxy.cut_next_reply()
    decision = await hit_all("a", first, second)
    assert (decision.allowed, decision.degraded) == (False, None)
    proxy.refuse()
    assert await left(first) == [LIMIT]


@pytest.fixture
def breaks(monkeypatch):
    """A text. The server cannot store a value for a key that contains it."""
    begin = "local function keep(key, value, ttl)\n"
    assert begin in SCRIPT.source
    refusal = "if string.find(key, 'broken', 1, true) then return {err = 'ERR no room'} end\n"
    changed = Script.of(SCRIPT.source.replace(begin, begin + refusal))
    for module in (batches, handshake):
        monkeypatch.setattr(module, "SCRIPT", changed)


@pytest.mark.parametrize("used", [0, 5])
async def test_if_a_value_cannot_be_stored_the_other_keys_do_not_change(redis_server, breaks, used):
    async with RedisBackend(redis_server.url, on_error="raise") as store:
        limits = [Limiter(uid, f"{LIMIT}/day", backend=store) for uid in ("fault:1", "broken", "fault:2")]
        await limits[0].hit("a", used)
        key = "traffik:fault:1:{a}"
        before, life = redis_server.command("GET", key), redis_server.command("PTTL", key)
        with pytest.raises(BackendError, match="no room"):
            await hit_all("a", *limits, cost=3)
        assert redis_server.command("GET", key) == before
        assert abs(redis_server.command("PTTL", key) - life) < 5_000
        assert await left(limits[0], limits[2]) == [LIMIT - used, LIMIT]
