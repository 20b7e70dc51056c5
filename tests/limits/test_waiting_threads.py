"""`sync.wait`: threads that wait for one key, on the virtual clock."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread

import pytest

from tests.interrupting import each_interrupt
from tests.recording import RecordingBackend
from traffik import Limiter, NeverAdmittedError, SlidingLog, WaitTimeoutError
from traffik.limits import queues, timing

PATIENCE = 10  # seconds


@pytest.fixture
def store(clock):
    return RecordingBackend(clock=clock)


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


@pytest.fixture
def gate(patches):
    """An event: pauses last until it is set, and are skipped afterwards."""
    gate, sleep = Event(), timing.sleep_sync

    def wait_and_sleep(wait):
        assert gate.wait(PATIENCE)
        sleep(wait)

    patches.setattr(timing, "sleep_sync", wait_and_sleep)
    return gate


def start(limiter, cost):
    """Start a thread that waits for `cost` units. Returns when it is in the queue."""

    def wait():
        with suppress(KeyboardInterrupt):
            limiter.sync.wait("ada", cost)

    before = waiting()
    thread = Thread(target=wait, daemon=True)
    thread.start()
    while thread.is_alive() and waiting() == before:
        pass
    return thread


def waiting():
    """The number of waiters."""
    return sum(len(queue._waiters) for queue in [*queues._queues.values()])


def join(threads):
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_thread_sleeps_exactly_as_announced(limiter, store, pauses):
    limiter.sync.hit("ada", 5)
    assert limiter.sync.wait("ada", context={"other": 1}).allowed
    assert pauses == [1_000_000]
    assert [allowed for _, _, allowed in store.charged] == [True, False, True]


def test_threads_are_admitted_in_the_order_in_which_they_came(limiter, store, gate):
    limiter.sync.hit("ada", 5)
    costs = [1, 2, 3, 4, 5] * 3
    threads = [start(limiter, cost) for cost in costs]
    assert len(store.charged) == 2  # only the first one has asked the store
    gate.set()
    join(threads)
    assert store.admitted == [5, *costs]
    assert len(store.charged) == 16 + store.refused


def test_a_large_cost_is_not_overtaken(limiter, store, gate):
    limiter.sync.hit("ada", 2)
    threads = [start(limiter, cost) for cost in (5, 1, 2)]
    gate.set()
    join(threads)
    assert store.admitted == [2, 5, 1, 2]


def test_a_thread_times_out_at_once_if_the_first_one_sleeps_longer_than_its_timeout(limiter, gate):
    limiter.sync.hit("ada", 5)
    first = start(limiter, 1)
    with pytest.raises(WaitTimeoutError, match="the wait is 1 s"):
        limiter.sync.wait("ada", timeout=0.999)
    gate.set()
    join([first])


def test_after_an_interrupted_thread_the_next_one_asks_the_store(limiter, store, patches):
    limiter.sync.hit("ada", 5)
    gate, sleep = Event(), timing.sleep_sync

    def interrupted(wait):
        assert gate.wait(PATIENCE)
        patches.setattr(timing, "sleep_sync", sleep)
        raise KeyboardInterrupt

    patches.setattr(timing, "sleep_sync", interrupted)
    threads = [start(limiter, cost) for cost in (1, 2, 3)]
    gate.set()
    join(threads)
    assert store.admitted == [5, 2, 3]


def test_a_thread_that_is_interrupted_anywhere_leaves_the_queue(store):
    limiter = Limiter("interrupted", "10000/day", backend=store).sync
    points = 0
    for points in each_interrupt(lambda: limiter.wait("ada", timeout=PATIENCE)):  # noqa: B007 - used below
        assert queues._queues == {}
    assert points > 20, "the wait has fewer points than it must have"


def test_a_cost_above_the_capacity_is_refused_at_once(limiter, store):
    with pytest.raises(NeverAdmittedError):
        limiter.sync.wait("ada", 6)
    assert store.charged == []


def test_many_threads_without_an_order_are_all_admitted(limiter, store, clock):
    began = clock.now
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: limiter.sync.wait("ada"), range(100)))
    assert len(store.charged) == 100 + store.refused
    assert clock.now - began >= 19_000_000


def test_a_task_whose_event_loop_has_ended_does_not_hold_others_up(limiter, store, gate):
    limiter.sync.hit("ada", 5)
    first = start(limiter, 1)
    loop = asyncio.new_event_loop()
    task = loop.create_task(limiter.wait("ada", 2))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    last = start(limiter, 3)
    gate.set()
    join([first, last])
    assert store.admitted == [5, 1, 3]
    task._log_destroy_pending = False


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_the_threads_of_its_parent(limiter, gate):
    limiter.sync.hit("ada", 5)
    first = start(limiter, 1)
    child = os.fork()
    if not child:
        limiter.sync.reset("ada")
        os._exit(0 if limiter.sync.wait("ada", timeout=0) else 1)
    assert os.waitpid(child, 0)[1] == 0
    gate.set()
    join([first])
