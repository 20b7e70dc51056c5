"""Users' strategies in Redis: decided in Python, and written if the key has not changed meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from traffik import Decision, Limiter, Rate, SlidingWindow, Transition
from traffik.backends.base import Charge
from traffik.backends.redis import RedisBackend
from traffik.strategies import Twin, plan

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(redis_server):
    async with RedisBackend(redis_server.url, on_error="raise", deadline=5) as store:
        yield store


@dataclass(frozen=True)
class Last:
    """Stores the given state. Its decisions have the number of calls as `remaining`."""

    leaves: tuple = ("ü", 1.5, None, True, (2**70, (-1,)))

    def decide(self, state, rate, cost, now):
        seen = state[0] if state else 0
        if state and state[1] != self.leaves:
            raise AssertionError(state)
        return Transition(Decision(True, rate.limit, seen), (seen + 1, self.leaves), rate.period)


async def test_a_state_comes_back_as_it_was(store):
    limiter = Limiter("t", "9/day", strategy=Last(), backend=store)
    assert [(await limiter.hit("a")).remaining for _ in range(3)] == [0, 1, 2]


class Lasting:
    """Its state never expires."""

    def decide(self, state, rate, cost, now):
        return Transition(Decision(True, rate.limit, rate.limit), (now,), 10**30)


async def test_a_state_may_last_longer_than_a_server_keeps_one(store):
    limiter = Limiter("lasting", "9/day", strategy=Lasting(), backend=store)
    assert (await limiter.hit("ada")).degraded is None


async def test_concurrent_hits_are_decided_one_after_another(store):
    limiter = Limiter("t", "9/day", strategy=Last(), backend=store)
    decisions = await asyncio.gather(*(limiter.hit("a") for _ in range(50)))
    assert sorted(decision.remaining for decision in decisions) == list(range(50))


@pytest.mark.parametrize("part", [object(), [1], {"a": 1}, b"x", {1}], ids=lambda part: type(part).__name__)
async def test_a_state_that_cannot_be_stored_is_an_error_before_anything_is_stored(store, redis_server, part):
    limiter = Limiter("t", "9/day", strategy=Last((part,)), backend=store)
    with pytest.raises(TypeError, match=r"which cannot be stored in Redis: a state consists of tuples"):
        await limiter.hit("a")
    assert redis_server.client().dbsize() == 0


@pytest.mark.parametrize("value", [b"", b"w", b"p", b"\xff", b"garbage", b'p000000000000{"a":1}'])
async def test_an_unreadable_value_counts_as_no_state(store, redis_server, value):
    limiter = Limiter("t", "9/day", strategy=Last(), backend=store)
    redis_server.client().set("traffik:t:{a}", value, px=60_000)
    assert [(await limiter.hit("a")).remaining for _ in range(2)] == [0, 1]


@pytest.mark.parametrize("rest", [b"", b"{}", b"[", b"7", b"[1,{}]"])
async def test_a_value_with_a_tag_but_no_state_counts_as_no_state(store, redis_server, rest):
    limiter = Limiter("t", "9/day", strategy=Last(), backend=store)
    await limiter.hit("a")
    client = redis_server.client()
    client.set("traffik:t:{a}", client.get("traffik:t:{a}")[:13] + rest, px=60_000)
    assert (await limiter.hit("a")).remaining == 0


@pytest.mark.parametrize("value", [b"", b"w", b"w\xc1", b"m\x01\x02\x03", b"garbage", b"W\x93"])
@pytest.mark.parametrize("rate", ["5/day", "5/day; 9/week"])
async def test_an_unreadable_value_of_a_built_in_strategy_counts_as_no_state(store, redis_server, value, rate):
    redis_server.client().set("traffik:t:{a}", value, px=60_000)
    limiter = Limiter("t", rate, backend=store)
    assert [(await limiter.hit("a")).remaining for _ in range(2)] == [4, 3]


class Foreign(SlidingWindow):
    """Names a Lua kernel that the script does not have."""

    __slots__ = ()

    def twin(self, rate):
        return Twin("foreign", ())


async def test_a_strategy_whose_kernel_the_script_lacks_is_decided_in_python(store):
    limiter = Limiter("t", "2/day", strategy=Foreign(), backend=store)
    assert [(await limiter.hit("a")).allowed for _ in range(3)] == [True, True, False]


async def test_many_charges_of_all_kinds_get_their_decisions_in_order(store):
    built_in, own = plan(SlidingWindow(), [Rate(5, 86_400_000_000)]), plan(Last(), [Rate(9, 86_400_000_000)])
    charges = [Charge("t", built_in, "a", 3), Charge("o", own, "a", 1), Charge("t", built_in, "a", 2)]
    charges += [Charge("o", own, "a", 1), Charge("t", built_in, "a", 1), Charge("t", built_in, "a", 0, read_only=True)]
    decisions = await store.apply(charges)
    assert [decision.remaining for decision in decisions] == [2, 0, 0, 1, 0, 0]
    assert [decision.allowed for decision in store.apply_sync(charges[::4])] == [False, False]
