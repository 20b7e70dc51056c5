"""Listeners that raise, block or are slow do not slow or break hits. Also forks and the end of a program."""

import asyncio
import logging
import os
import threading
import tracemalloc

import pytest

from traffik import Limiter, subscribe, unsubscribe
from traffik.events import delivery


@pytest.fixture
def limiter(store):
    return Limiter("mails", "1000000/min", backend=store)


@pytest.fixture
def blocked():
    """Makes a listener that blocks until the test ends."""
    end = threading.Event()
    yield lambda event: end.wait(30)
    end.set()


def fail(event):
    raise RuntimeError("a listener that fails")


def hit(limiter, times):
    return [limiter.sync.hit("ada").allowed for _ in range(times)]


def test_a_listener_runs_in_another_thread(limiter):
    threads = []
    with subscribe(lambda event: threads.append(threading.current_thread())):
        hit(limiter, 2)
    assert {thread.daemon for thread in threads} == {True}
    assert threading.current_thread() not in threads


def test_an_error_is_counted_and_logged_once(limiter, caplog):
    with subscribe(fail) as subscription:
        assert hit(limiter, 3) == [True] * 3
        subscription.flush()
    assert (subscription.errors, subscription.delivered) == (3, 0)
    assert [(record.name, record.levelno) for record in caplog.records] == [("traffik.events", logging.ERROR)]
    assert "a listener that fails" in caplog.text


def test_events_that_cannot_be_made_are_counted_and_the_next_are_delivered(limiter, monkeypatch):
    events = []
    with subscribe(events.append) as subscription:
        monkeypatch.setattr(subscription._delivery, "_prepare", fail)
        hit(limiter, 3)
        subscription.flush()
        monkeypatch.undo()
        hit(limiter, 2)
        subscription.flush()
    assert (subscription.errors, subscription.delivered, len(events)) == (3, 2, 2)


def test_a_listener_after_an_error_gets_the_next_event(limiter):
    events = []

    def listener(event):
        events.append(event)
        fail(event)

    with subscribe(listener):
        hit(limiter, 3)
    assert len(events) == 3


def test_a_listener_that_blocks_loses_events_and_nothing_else(limiter, blocked):
    subscription = subscribe(blocked, capacity=10)
    assert hit(limiter, 100) == [True] * 100
    assert subscription.dropped >= 80
    assert not subscription.flush(0.01)
    assert not subscription.close(0.01)


def test_a_listener_that_blocks_does_not_delay_another(limiter, blocked):
    events = []
    slow, quick = subscribe(blocked), subscribe(events.append)
    hit(limiter, 3)
    assert quick.close()
    assert len(events) == 3
    slow.close(0)


def test_a_slow_listener_gets_the_events_in_order(limiter):
    costs, started, go_on = [], threading.Event(), threading.Event()

    def listener(event):
        started.set()
        go_on.wait(10)
        costs.append(event.cost)

    with subscribe(listener) as subscription:
        for cost in range(1, 601):  # more than are taken together
            limiter.sync.hit("ada", cost)
        assert started.wait(10)
        go_on.set()
        assert subscription.flush(10)
    assert costs == list(range(1, 601))


def test_drops_are_logged(limiter, caplog):
    go_on = threading.Event()
    with subscribe(lambda event: go_on.wait(10), capacity=4) as subscription:
        hit(limiter, 100)
        go_on.set()
        assert subscription.flush(10)
        hit(limiter, 1)
        assert subscription.flush(10)
    assert "is too slow" in caplog.text


def test_an_async_listener_is_awaited_in_one_loop(limiter):
    loops = []

    async def listener(event):
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    with subscribe(listener) as subscription:
        hit(limiter, 2)
        subscription.flush()
        hit(limiter, 1)
    assert len(loops) == 3
    assert len(set(loops)) == 1


def test_an_async_listener_may_fail(limiter):
    async def listener(event):
        await asyncio.sleep(0)
        fail(event)

    with subscribe(listener) as subscription:
        hit(limiter, 2)
        subscription.flush()
    assert subscription.errors == 2


def test_an_object_may_be_a_listener(limiter):
    class Listener:
        def __init__(self):
            self.events = []

        async def __call__(self, event):
            self.events.append(event)

    listener = Listener()
    with subscribe(listener):
        hit(limiter, 1)
    assert len(listener.events) == 1


def test_a_sync_function_that_returns_an_awaitable_is_logged_as_an_error(limiter):
    async def listener(event, more):
        pass

    with subscribe(lambda event: listener(event, "more")) as subscription:
        hit(limiter, 1)
        subscription.flush()
    assert subscription.errors == 1


def test_an_event_without_others_arrives_soon(limiter):
    arrived = threading.Event()
    with subscribe(lambda event: arrived.set()):
        hit(limiter, 1)
        assert arrived.wait(10)


def test_a_listener_may_end_its_subscription(limiter):
    ended = threading.Event()

    def listener(event):
        assert not subscription.close()  # the listener's thread cannot wait for itself
        ended.set()

    subscription = subscribe(listener)
    hit(limiter, 1)
    assert ended.wait(10)


def test_unsubscribe_ends_what_a_listener_is_subscribed_to(limiter):
    events = []
    listener = events.append
    subscribe(listener)
    subscribe(listener, limit="mails")
    hit(limiter, 1)
    unsubscribe(listener)
    hit(limiter, 1)
    assert len(events) == 2


def test_many_threads_lose_no_event(limiter):
    events = []
    with subscribe(events.append, capacity=10_000) as subscription:
        threads = [threading.Thread(target=hit, args=(limiter, 500)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert subscription.flush(10)
    assert (len(events), subscription.delivered, subscription.dropped) == (4000, 4000, 0)


def test_unsubscribing_ends_the_threads(limiter):
    with subscribe(print, outcomes=["refused"]):
        hit(limiter, 1)
    before = threading.active_count()
    for _ in range(20):
        subscribe(fail).close()
    assert threading.active_count() <= before


def test_the_memory_of_many_events_is_bounded(limiter):
    with subscribe(lambda event: None, capacity=256) as subscription:
        hit(limiter, 2_000)
        subscription.flush()
        tracemalloc.start()
        for _ in range(20):
            hit(limiter, 1_000)
            subscription.flush()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 200_000


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_its_own_events(limiter):
    read, write = os.pipe()
    with subscribe(lambda event: os.write(write, f"{os.getpid() == parent}{event.cost} ".encode())) as subscription:
        parent = os.getpid()
        limiter.sync.hit("ada", 1)
        subscription.flush()
        child = os.fork()
        if child == 0:
            limiter.sync.hit("ada", 2)
            os._exit(0 if subscription.flush(10) and subscription.delivered == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        limiter.sync.hit("ada", 3)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert sorted(pipe.read().split()) == ["False2", "True1", "True3"]


def test_the_end_of_a_program_waits_for_queued_events(limiter):
    events = []
    subscription = subscribe(events.append)
    hit(limiter, 3)
    delivery._at_exit()
    assert len(events) == 3
    subscription.close()


def test_unsubscribe_leaves_the_subscriptions_of_others(limiter):
    events = []
    with subscribe(events.append) as subscription:
        unsubscribe(print)
        hit(limiter, 1)
        subscription.flush(10)
        assert repr(subscription).endswith("to '*': 1 delivered, 0 dropped>")


def test_without_a_thread_events_are_dropped_and_counted(limiter, monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    with subscribe(print) as subscription:
        monkeypatch.setattr(delivery.Thread, "start", fail)
        hit(limiter, 2)
        subscription._delivery.queue.append(None)
        assert (subscription.dropped, subscription.flush(0.01)) == (2, False)
        subscription._delivery.queue.clear()
