"""Waiting for a slot: callers are admitted in order, and are woken when work in this process ends."""

from __future__ import annotations

from threading import Thread

import anyio
import pytest
from anyio.lowlevel import checkpoint
from anyio.to_thread import run_sync as in_thread

from tests.limits.distant import DistantBackend
from traffik import ConfigurationError, NeverAdmittedError, Slots, WaitTimeoutError
from traffik.backends.inmemory import InMemoryBackend
from traffik.limits import queues, waiting

pytestmark = pytest.mark.anyio

PATIENCE = 10  # seconds, much less than a lease


@pytest.fixture(params=[InMemoryBackend, DistantBackend], ids=["memory", "distant"])
def exports(clock, request):
    return Slots("exports", 1, backend=request.param(clock=clock))


@pytest.fixture(autouse=True)
def _no_queue_stays():
    yield
    assert queues._queues == {}


async def settle():
    """Let all other tasks run until they wait."""
    for _ in range(20):
        await checkpoint()


async def test_waiters_are_admitted_in_the_order_in_which_they_came(exports):
    admitted = []

    async def work(name):
        async with exports.slot(wait=True) as slot:
            assert slot
            admitted.append(name)
            await settle()

    with anyio.fail_after(PATIENCE):
        async with exports.slot(), anyio.create_task_group() as tasks:
            for name in range(8):
                tasks.start_soon(work, name)
                await settle()
            tasks.start_soon(anyio.lowlevel.checkpoint)
            await exports.reset()
            queues.wake((exports.backend, "exports", "shared"))
    assert admitted == list(range(8))


async def test_only_the_first_waiter_asks_the_store(clock):
    exports = Slots("exports", 1, backend=DistantBackend(clock=clock))
    async with anyio.create_task_group() as tasks:
        async with exports.slot():
            for _ in range(8):
                tasks.start_soon(exports.slot(wait=True).__aenter__)
            await settle()
            assert len(exports.backend.taken) == 2
        await settle()
        tasks.cancel_scope.cancel()


async def test_a_thread_wakes_a_task_and_a_task_a_thread(exports):
    def work():
        with exports.sync.slot(wait=PATIENCE) as slot:
            return bool(slot)

    slot = exports.sync.slot()
    slot.__enter__()
    ending = Thread(target=slot.__exit__, args=(None, None, None))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(in_thread, ending.start)
        async with exports.slot(wait=PATIENCE):
            tasks.start_soon(in_thread, work)
            await anyio.sleep(0.05)
    ending.join()


async def test_a_slot_of_another_process_is_seen_after_a_pause(clock, monkeypatch):
    monkeypatch.setattr(waiting, "_LONGEST_SLOT_PAUSE", 10_000)
    exports = Slots("exports", 1, backend=DistantBackend(clock=clock))
    async with exports.slot(), anyio.create_task_group() as tasks:
        waiter = exports.slot(wait=PATIENCE)
        tasks.start_soon(waiter.__aenter__)
        await settle()
        await exports.reset()  # this wakes no waiter
    assert waiter


@pytest.mark.parametrize("wait", [0, 0.05])
async def test_a_timeout_is_an_error(exports, wait):
    async with exports.slot():
        with pytest.raises(WaitTimeoutError, match="'exports' admits nothing within") as caught:
            await exports.slot(wait=wait).__aenter__()
        assert caught.value.decision.wait_seconds == 60


async def test_waiters_behind_the_first_time_out_too(exports):
    async with exports.slot(), anyio.create_task_group() as tasks:
        tasks.start_soon(exports.slot(wait=True).__aenter__)
        await settle()
        with pytest.raises(WaitTimeoutError, match="others wait before it"):
            await exports.slot(wait=0.05).__aenter__()
        tasks.cancel_scope.cancel()


async def test_a_cost_above_the_limit_is_an_error_at_once(exports):
    with pytest.raises(NeverAdmittedError):
        await exports.slot(cost=2, wait=True).__aenter__()


async def test_sync_code_does_not_block_an_event_loop(exports):
    with pytest.raises(ConfigurationError, match="would block the event loop"):
        exports.sync.slot(wait=True).__enter__()


async def test_a_cancelled_waiter_leaves_the_queue(exports):
    async with exports.slot():
        with anyio.move_on_after(0.05) as scope:
            await exports.slot(wait=True).__aenter__()
        assert scope.cancelled_caught
    assert (await exports.stat()).free == 1
