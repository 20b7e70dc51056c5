"""Cancellation at every await: a slot is given back, and given back once."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.limits.distant import DistantBackend
from traffik import Slots
from traffik.backends.shields import shielded

STEPS = 16
"""More awaits than the longest of the blocks below has."""

WAITS = [False, True]


async def work(slots, wait):
    async with slots.slot("ada", wait=wait) as slot:
        assert slot
        await checkpoint()


@pytest.fixture
def exports(clock):
    return Slots("exports", 2, backend=DistantBackend(clock=clock))


@pytest.mark.anyio
@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("steps", range(STEPS))
async def test_a_scope_that_is_cancelled_leaves_no_slot_in_use(exports, steps, wait):
    async with exports.slot("ada"), anyio.create_task_group() as tasks:
        tasks.start_soon(work, exports, wait)
        for _ in range(steps):
            await checkpoint()
        tasks.cancel_scope.cancel()
    await check(exports)


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("steps", range(STEPS))
def test_a_task_that_is_cancelled_leaves_no_slot_in_use(exports, steps, times, wait):
    async def main():
        async with exports.slot("ada"):
            task = asyncio.create_task(work(exports, wait))
            for step in range(steps + times):
                if step >= steps:
                    task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait((task,))
            assert task.cancelled() or task.exception() is None
        await check(exports)

    asyncio.run(main())


async def check(slots):
    """Assert that all units taken were given back once."""
    assert (await slots.stat("ada"))[:2] == (0, 2)
    assert sum(slots.backend.posted) == -len(slots.backend.taken)


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_cancellation_while_a_lease_is_renewed_gives_back_what_the_renewal_took(exports, steps):
    async def main():
        task = asyncio.create_task(work_until_cancelled(exports))
        for _ in range(8):
            await asyncio.sleep(0)
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert (await exports.stat("ada"))[:2] == (0, 2)
        assert exports.backend.posted == [-1]

    asyncio.run(main())


async def work_until_cancelled(slots):
    async with slots.slot("ada") as slot:
        slot._renewal._timer()  # renew at once instead of after a third of the lease
        slot._renewal._begin_after(0)
        await asyncio.sleep(3_600)


def test_a_cancelled_task_ends_after_the_shielded_work():
    done = []

    async def work():
        await asyncio.sleep(0.01)
        done.append(True)

    async def main():
        task = asyncio.create_task(shielded(work()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done

    asyncio.run(main())


@pytest.mark.anyio
async def test_an_error_of_shielded_work_is_raised():
    async def fail():
        await checkpoint()
        raise LookupError

    with pytest.raises(LookupError):
        await shielded(fail())
