"""Several callers that wait for one key: their order, the number of hits, and cancellation."""

from __future__ import annotations

from collections import Counter
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint
from anyio.to_thread import run_sync as in_thread

from tests.recording import RecordingBackend
from traffik import Limiter, SlidingLog, WaitTimeoutError
from traffik.limits import queues, timing

pytestmark = pytest.mark.anyio

PATIENCE = 10  # seconds


@pytest.fixture(params=[False, True], ids=["memory", "remote"])
def store(clock, request):
    return RecordingBackend(clock=clock, remote=request.param)


@pytest.fixture(autouse=True)
def pauses(clock):
    with clock.skipping_pauses() as skipped:
        yield skipped
    assert queues._queues == {}


@pytest.fixture
def patches(pauses):
    """A monkeypatch that is undone before pauses become real again."""
    with pytest.MonkeyPatch.context() as patching:
        yield patching


@pytest.fixture
def limiter(store):
    return Limiter("mails", "5/s", strategy=SlidingLog(), backend=store)


async def waits(limiter, names, costs=(), **options):
    """Let tasks wait concurrently; the names of the admitted ones, in order."""
    admitted = []

    async def wait(name, cost):
        await limiter.wait("ada", cost, **options)
        admitted.append(name)

    async with anyio.create_task_group() as tasks:
        for place, name in enumerate(names):
            tasks.start_soon(wait, name, costs[place] if costs else 1)
            await checkpoint()
    return admitted


async def test_waiters_are_admitted_in_the_order_in_which_they_came(limiter):
    assert await waits(limiter, range(25)) == list(range(25))


async def test_each_refusal_is_followed_by_a_pause_and_there_are_no_other_refusals(limiter, store, pauses):
    await waits(limiter, range(25))
    assert Counter(allowed for _, _, allowed in store.charged) == {True: 25, False: len(pauses)}
    assert len(pauses) == 4  # one for each second that the quota of 5 was used up


async def test_no_window_admits_more_than_the_limit(limiter, store, clock):
    times = []
    for _ in range(3):
        await waits(limiter, range(8))
        times.append(clock.now)
    assert times[-1] - times[0] >= 3_000_000


async def test_a_large_cost_is_not_overtaken_by_small_ones(limiter):
    await limiter.hit("ada", 2)
    assert await waits(limiter, ["large", "b", "c", "d"], [5, 1, 1, 1]) == ["large", "b", "c", "d"]


async def test_waiters_of_different_keys_do_not_wait_for_each_other(limiter, pauses):
    await limiter.hit("ada", 5)
    with pytest.raises(WaitTimeoutError):
        await limiter.wait("ada", timeout=0)
    assert await limiter.wait("bob", timeout=0)
    assert await limiter.wait("ada", timeout=0, context={"scope": "other"})


async def test_limiters_with_one_uid_share_a_queue(limiter, store):
    other = Limiter("mails", "5/s", strategy=SlidingLog(), backend=store)
    admitted = []

    async def wait(each, name):
        await each.wait("ada", 5)
        admitted.append(name)

    async with anyio.create_task_group() as tasks:
        for name in range(6):
            tasks.start_soon(wait, (limiter, other)[name % 2], name)
            await checkpoint()
    assert admitted == list(range(6))


@pytest.fixture
def endless(patches):
    """Makes pauses endless; only a cancellation ends them."""
    patches.setattr(timing, "sleep", lambda wait: anyio.sleep_forever())


async def test_a_new_waiter_does_not_overtake_one_that_is_asleep(limiter, store, endless):
    await limiter.hit("ada", 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.wait, "ada", 5)
        await anyio.wait_all_tasks_blocked()
        for timeout in (0, 0.999):
            with pytest.raises(WaitTimeoutError, match="the wait is 1 s"):
                await limiter.wait("ada", 1, timeout=timeout)
        tasks.cancel_scope.cancel()
    assert [cost for _, cost, _ in store.charged] == [1, 5]


async def test_a_waiter_times_out_at_once_if_the_first_one_sleeps_longer_than_its_timeout(limiter, endless):
    await limiter.hit("ada", 5)
    errors = []

    async def wait_shortly():
        with pytest.raises(WaitTimeoutError, match="the wait is 1 s") as caught:
            await limiter.wait("ada", timeout=0.999)
        errors.append(caught.value.decision.retry_after)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.wait, "ada")
        for _ in range(3):
            tasks.start_soon(wait_shortly)
        await anyio.wait_all_tasks_blocked()
        assert errors == [1_000_000] * 3
        tasks.cancel_scope.cancel()


async def test_a_timeout_ends_while_the_store_does_not_answer(patches):
    limiter = Limiter("mails", "5/s", backend=RecordingBackend(remote=True))
    patches.setattr("tests.recording.checkpoint", anyio.sleep_forever)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.wait, "ada")
        await anyio.wait_all_tasks_blocked()
        patches.setattr(timing, "now", iter(range(0, 10**9, 10_000)).__next__)
        with anyio.fail_after(PATIENCE), pytest.raises(WaitTimeoutError, match="others wait before it") as caught:
            await limiter.wait("ada", timeout=0.01)
        tasks.cancel_scope.cancel()
    assert caught.value.decision == (False, 0, 0, 1, 0, None, None)


@pytest.mark.parametrize("steps", range(12))
@pytest.mark.parametrize("place", range(3))
async def test_a_waiter_cancelled_at_any_await_consumes_nothing_and_the_others_continue(limiter, store, place, steps):
    await limiter.hit("ada", 5)
    scopes = [anyio.CancelScope() for _ in range(3)]
    admitted = []

    async def wait(name):
        with scopes[name]:
            await limiter.wait("ada", 2)
            admitted.append(name)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for name in range(3):
                tasks.start_soon(wait, name)
            for _ in range(steps):
                await checkpoint()
            scopes[place].cancel()
    assert sorted(admitted) in ([0, 1, 2], [name for name in range(3) if name != place])
    assert sum(store.admitted) == 5 + 2 * len(admitted)


async def test_tasks_and_threads_wait_in_one_order(limiter, store, patches):
    gate, sleep = anyio.Event(), timing.sleep
    patches.setattr(timing, "sleep", lambda wait: gate.wait())
    await limiter.hit("ada", 5)
    kinds = (limiter.wait, partial(in_thread, limiter.sync.wait)) * 2
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for place, kind in enumerate(kinds, 1):
                tasks.start_soon(kind, "ada", place)
                await until_waiting(place)
            patches.setattr(timing, "sleep", sleep)
            gate.set()
    assert store.admitted == [5, 1, 2, 3, 4]


async def until_waiting(number):
    """Let other tasks run until `count` of them wait."""
    while sum(len(queue._waiters) for queue in queues._queues.values()) < number:
        await checkpoint()


def test_a_waiter_that_does_not_rest_yet_may_be_woken():
    assert queues.TaskWaiter(None).wake()


def test_a_queue_that_was_emptied_while_a_waiter_came_is_left_for_a_new_one(store, monkeypatch):
    key, first, second, add = (store, "a", "b"), queues.ThreadWaiter(1), queues.ThreadWaiter(2), queues.WaitQueue.add

    def add_after_a_signal(queue, waiter):
        if queue.first is first:
            queues.leave(key, first)
        add(queue, waiter)

    left = queues.enqueue(key, first)
    monkeypatch.setattr(queues.WaitQueue, "add", add_after_a_signal)
    queue = queues.enqueue(key, second)
    assert (queue is left, queue.first, queues._queues[key]) == (False, second, queue)
    queues.leave(key, second)
