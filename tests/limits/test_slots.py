"""`Slots` and `slot` of limiters: how many pieces of work run at once."""

from __future__ import annotations

import copy
import pickle
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.limits.distant import DistantBackend
from traffik import ConfigurationError, Limiter, RateError, SlidingLog, Slots
from traffik.backends.inmemory import InMemoryBackend

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[InMemoryBackend, DistantBackend], ids=["memory", "distant"])
def store(clock, request):
    return request.param(clock=clock)


@pytest.fixture
def exports(store):
    return Slots("exports", 2, backend=store)


async def held(stack, slots, count, *arguments, **options):
    """Enter `count` slots that `stack` leaves at its end."""
    return [await stack.enter_async_context(slots.slot(*arguments, **options)) for _ in range(count)]


async def test_a_slot_that_is_not_free_is_false(exports):
    async with AsyncExitStack() as stack:
        assert [bool(slot) for slot in await held(stack, exports, 3, "ada")] == [True, True, False]
        assert [bool(slot) for slot in await held(stack, exports, 1, "bob")] == [True]
    async with AsyncExitStack() as stack:
        assert all(await held(stack, exports, 2, "ada"))


async def test_a_block_that_raises_gives_its_slot_back(exports):
    with pytest.raises(LookupError):
        async with exports.slot("ada", 2):
            raise LookupError
    assert (await exports.stat("ada"))[:2] == (0, 2)


async def test_the_wait_of_a_refusal_is_the_time_until_a_lease_ends(exports, clock):
    async with exports.slot("ada"):
        clock.advance(seconds=10)
        async with exports.slot("ada"), exports.slot("ada") as refused:
            assert (refused.decision.wait_seconds, refused.decision.limit, refused.lost) == (50, 2, False)


async def test_a_cost_takes_several_slots_or_none(exports):
    async with exports.slot("ada", 2), exports.slot("ada") as other:
        assert not other
    async with exports.slot("ada"), exports.slot("ada", 2) as other:
        assert not other
        assert (await exports.stat("ada"))[:2] == (1, 1)


async def test_each_scope_has_its_own_slots(exports):
    async with exports.slot("ada", 2), exports.slot("ada", 2, context={"scope": "other"}) as slot:
        assert slot


async def test_stat_returns_the_number_of_slots_in_use(exports):
    async with exports.slot(), exports.slot():
        assert await exports.stat() == (2, 0, 60_000, "traffik:exports:{shared}")
    assert await exports.stat() == (0, 2, 0, "traffik:exports:{shared}")


async def test_slots_that_were_reset_are_free_and_not_given_back_again(exports):
    async with exports.slot(cost=2):
        await exports.reset()
        async with exports.slot() as slot:
            assert slot
    assert (await exports.stat())[:2] == (0, 2)


async def test_the_slot_of_a_process_that_died_comes_back_after_its_lease(exports, clock):
    await exports.slot(cost=2).__aenter__()
    clock.advance(seconds=60, microseconds=-1)
    assert (await exports.stat()).free == 0
    clock.advance(microseconds=1)
    assert (await exports.stat()).free == 2


async def test_a_slot_can_be_entered_once(exports):
    slot = exports.slot()
    with pytest.raises(RuntimeError, match="has not begun"):
        bool(slot)
    async with slot:
        with pytest.raises(RuntimeError, match="has been used"):
            await slot.__aenter__()


def test_sync_code_shares_the_slots(exports):
    with ExitStack() as stack:
        slots = [stack.enter_context(exports.sync.slot("ada")) for _ in range(3)]
        assert [bool(slot) for slot in slots] == [True, True, False]
        assert exports.sync.stat("ada")[:2] == (2, 0)
        exports.sync.reset("ada")
    with exports.sync.slot("ada", 2) as slot:
        assert (bool(slot), slot.decision.remaining, slot.lost) == (True, 0, False)
    assert exports.sync.stat("ada")[:2] == (0, 2)


async def test_a_limiter_that_counts_with_a_log_has_slots(store):
    limiter = Limiter("jobs", "1/5min", strategy=SlidingLog(), backend=store)
    async with limiter.slot("ada"), limiter.slot("ada") as other:
        assert other.decision.wait_seconds == 300
    with limiter.sync.slot("ada") as slot:
        assert slot


async def test_another_strategy_has_none(store):
    limiter = Limiter("jobs", "1/5min", backend=store)
    with pytest.raises(ConfigurationError, match=r"slots of 'jobs' need the strategy SlidingLog\(\)"):
        await limiter.slot("ada").__aenter__()
    with pytest.raises(ConfigurationError, match="SlidingLog"):
        limiter.sync.slot("ada").__enter__()


async def test_a_disabled_limit_counts_no_slot(exports):
    exports.disable()
    async with exports.slot(), exports.slot(), exports.slot() as slot:
        assert slot
        exports.enable()
        assert (await exports.stat()).in_use == 0


async def test_a_slot_of_cost_0_is_not_counted(store):
    free = Slots("free", 2, cost=0, backend=store)
    async with free.slot(), free.slot(), free.slot() as slot:
        assert slot
        assert (await free.stat()).in_use == 0


@pytest.mark.parametrize("lease", ["60s", "1 min", "1min", timedelta(minutes=1)])
def test_a_lease_is_a_time(lease):
    assert Slots("exports", 2, lease=lease).own_plan.rates[0].period == 60_000_000


@pytest.mark.parametrize(
    ("limit", "lease"),
    [(2, "0s"), (2, ""), (2, "soon"), (2, "month"), (2, 60), (-1, "60s"), (2.5, "60s"), (10_001, "60s")],
)
def test_a_bad_limit_or_lease_is_an_error(limit, lease):
    with pytest.raises(RateError):
        Slots("exports", limit, lease=lease)


@pytest.mark.parametrize("bad", [{"wait": -1}, {"wait": "5"}, {"cost": -1}, {"on_lost": "abort"}, {"context": 1}])
def test_a_bad_argument_is_an_error_before_the_block(exports, bad):
    with pytest.raises((TypeError, ValueError)):
        exports.slot("ada", **bad)


async def test_a_copy_has_the_same_slots(store):
    exports = Slots("exports", 2, backend=store)
    async with copy.copy(exports).slot(cost=2):
        assert (await exports.stat()).free == 0
    assert pickle.loads(pickle.dumps(Slots("exports", limit=2))).own_plan.rates[0].limit == 2


async def test_no_more_than_the_limit_work_at_once(exports):
    at_once = []
    running = 0

    async def work():
        nonlocal running
        async with exports.slot(wait=True):
            running += 1
            at_once.append(running)
            for _ in range(10):
                await checkpoint()
            running -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(work)
    assert (max(at_once), len(at_once)) == (2, 20)


def test_slots_show_their_limit(store):
    assert repr(Slots("exports", 2, backend=store)) == "<Slots uid='exports' limit=2>"
