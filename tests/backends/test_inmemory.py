"""The in-memory store: expired keys, a full store, and forks."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from random import Random

import pytest

from traffik import FixedWindow, Limiter, Rate, SlidingLog, SlidingWindow, TokenBucket
from traffik.backends.base import Charge
from traffik.backends.inmemory import InMemoryBackend, backend, expired, tables
from traffik.strategies import plan as plan_of
from traffik.testing import ComposingContract

pytestmark = pytest.mark.anyio
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
strategies = pytest.mark.parametrize("strategy", [FixedWindow(), TokenBucket(), SlidingLog()], ids=repr)


class TestInMemoryBackend(ComposingContract):
    def make(self, *, namespace, clock):
        return InMemoryBackend(namespace=namespace, clock=clock or time.monotonic_ns)


def limiter_on(store, rate="5/s", **options):
    return Limiter("inmemory", rate, strategy=FixedWindow(), backend=store, **options).sync


def test_expired_keys_are_freed_by_later_traffic(store, clock):
    limiter = limiter_on(store)
    for number in range(100_000):
        limiter.hit(f"client:{number}")
    clock.advance(seconds=1)
    for _ in range(1000):
        clock.advance(milliseconds=1)
        limiter.hit("somebody")
    assert store.keys <= 10_000
    assert store._expired.left <= 10_000


def test_memory_is_freed_a_little_at_a_time(store, clock):
    limiter = limiter_on(store)
    for number in range(10_000):
        limiter.hit(f"client:{number}")
    clock.advance(seconds=2)
    limiter.hit("somebody")
    clock.advance(milliseconds=1)
    limiter.hit("somebody")
    assert store._expired.left > 9000


def test_keys_in_use_are_never_freed(store, clock):
    limiter = limiter_on(store, "1000000/s")
    for _ in range(50):
        for number in range(20):
            used = 1_000_000 - limiter.hit(f"client:{number}").remaining
            assert used >= 1
        clock.advance(milliseconds=10)
    assert used == 50
    assert store.keys == 20


def test_a_throttle_without_keys_leaves_nothing(store, clock):
    for number in range(100):
        Limiter(f"inmemory:{number}", "1/s", backend=store).sync.hit("a")
    clock.advance(seconds=10)
    limiter = limiter_on(store)
    for _ in range(20):
        clock.advance(seconds=1)
        limiter.hit("a")
    assert (len(store._tables), len(store._filled), store.keys) == (1, 1, 1)


def test_quota_outlives_the_limiter_that_counted_it(store):
    limiter_on(store, "1/day").hit("a")
    assert not limiter_on(store, "1/day").hit("a")


def test_overflow_outlives_the_limiter_that_counted_it_and_expires(store, clock):
    store.max_keys = 1
    Limiter("inmemory:0", "1/day", backend=store).sync.hit("a")
    limiter_on(store, "1/min").hit("b")
    assert not limiter_on(store, "1/min").hit("b")
    clock.advance(seconds=60)
    Limiter("inmemory:0", "1/day", backend=store).sync.hit("a")
    assert len(store._filled) == 1


def test_a_batch_is_one_step_for_other_threads(store):
    charge = Charge("inmemory", plan_of(FixedWindow(), [Rate(10, 1000)]), "a", 1)
    thread = threading.Thread(target=lambda: store.apply_sync((charge,)))

    def charges():
        yield charge
        thread.start()
        thread.join(0.05)  # this has no effect, since it waits for the end of the batch
        yield charge

    assert [decision.remaining for decision in store.apply_sync(charges())] == [9, 8]
    thread.join()
    assert store.apply_sync((charge,))[0].remaining == 6


def test_a_reset_store_keeps_nothing(store, clock):
    for number in range(5000):
        limiter_on(store).hit(str(number))
    clock.advance(seconds=60)
    limiter_on(store).hit("a")
    assert store._expired.left > 0
    store.reset()
    assert (store.keys, store._expired.left, len(store._filled)) == (0, 0, 0)


@pytest.fixture
def full(clock):
    """A store with room for two keys, which holds two that are out of quota."""
    store = InMemoryBackend(max_keys=2, clock=clock)
    limiter = limiter_on(store)
    for identity in ("a", "b"):
        assert limiter.hit(identity, 5).degraded is None
    return store


def test_a_full_store_forgets_no_client_that_is_out_of_quota(full):
    limiter = limiter_on(full)
    for number in range(5000):
        limiter.hit(f"client:{number}")
    assert not limiter.hit("a")
    assert not limiter.hit("b")
    assert full.keys == 2


def test_a_full_store_counts_new_keys_in_overflow_and_marks_their_decisions(full):
    limiter = limiter_on(full)
    decisions = [limiter.hit("c") for _ in range(6)]
    assert [decision.allowed for decision in decisions] == [True] * 5 + [False]
    assert {decision.degraded for decision in decisions} == {"overflow"}


def test_keys_of_one_overflow_bucket_share_one_quota(full):
    limiter = limiter_on(full)
    admitted = sum(limiter.hit(f"client:{number}").allowed for number in range(20_000))
    assert 5 <= admitted <= 5 * 1024


def test_a_key_that_leaves_overflow_gains_no_quota(full, clock):
    limiter = limiter_on(full)
    clock.advance(milliseconds=900)
    assert limiter.hit("c", 3).degraded == "overflow"
    clock.advance(milliseconds=500)
    limiter.hit("somebody")
    assert full.keys == 1
    assert limiter.hit("c") == (True, 5, 1, 0, 500_000, limiter.check("c").rate, "overflow")
    assert full.keys == 2
    assert limiter.hit("c", 2) == (False, 5, 1, 500_000, 500_000, limiter.check("c").rate, None)


def test_overflow_ends_once_there_is_room_again(full, clock):
    limiter = limiter_on(full)
    limiter.hit("c")
    for _ in range(10):
        clock.advance(seconds=1)
        limiter.hit("somebody")
    assert limiter.hit("c") == (True, 5, 4, 0, 1_000_000, limiter.hit("d").rate, None)


def test_checks_use_overflow_too(full):
    limiter = limiter_on(full)
    limiter.hit("c", 5)
    assert not limiter.check("c")
    assert limiter.stat("c").hits_remaining == 0


def test_resetting_a_key_in_overflow_forgets_it(full):
    limiter = limiter_on(full)
    limiter.hit("c", 5)
    limiter.reset("c")
    assert limiter.hit("c", 5)


def test_reset_makes_room(full):
    full.reset_sync("inmemory", "a")
    assert full.keys == 1
    full.reset_sync()
    assert full.keys == 0


def test_a_key_without_its_uid_cannot_be_reset(store):
    with pytest.raises(ValueError, match="to reset the key 'a', give the uid"):
        store.reset_sync(key="a")


async def test_closing_forgets_everything(store):
    limiter = Limiter("inmemory", "1/day", backend=store)
    async with store:
        await limiter.hit("a")
    assert store.keys == 0
    assert await limiter.hit("a")


async def test_reset_and_close_may_be_awaited_or_not(store):
    limiter_on(store).hit("a")
    store.reset()
    assert store.keys == 0
    await store.reset()
    await store.close()


@pytest.mark.parametrize("max_keys", [0, -1, 1.5, None, True])
def test_max_keys_below_1_is_an_error(max_keys):
    with pytest.raises(ValueError, match="max_keys is an integer from 1"):
        InMemoryBackend(max_keys=max_keys)


@strategies
def test_a_state_in_use_survives_rotations(strategy, store, clock):
    limiter = Limiter("inmemory", "4/s", strategy=strategy, backend=store).sync
    limiter.hit("a", 4)
    for number in range(9):
        clock.advance(milliseconds=20)
        limiter.hit(f"other:{number}")
    assert limiter.stat("a").hits_remaining == 0


@pytest.mark.parametrize("seed", range(5))
def test_small_generations_that_fill_and_thin_out_and_are_copied_lose_no_count(monkeypatch, store, clock, seed):
    monkeypatch.setattr(expired, "_MANY", 0)
    monkeypatch.setattr(backend, "FULL", 40)
    monkeypatch.setattr(tables, "_SMALL", 8)
    plan, random, states, end = plan_of(SlidingWindow(), [Rate(5, 1_000_000)]), Random(seed), {}, {}
    for _ in range(20_000):
        clock.advance(microseconds=random.randrange(4000))
        now, key = clock() // 1000, f"client:{random.randrange(random.choice((10, 400)))}"
        state = states.get(key) if end.get(key, 0) > now else None
        expected, changed, ttl = plan.kernel(state, 1, now)
        assert store.prepare("walk", plan, sync=True).charge(key, 1) == expected
        if changed is not None:
            states[key], end[key] = changed, now + ttl
    assert sum(until > now for until in end.values()) <= store.keys <= 400


@pytest.mark.parametrize("rate", ["5/day; 9/week", lambda _: "5/day"], ids=["several", "function"])
def test_a_limit_that_gets_a_second_rate_keeps_its_usage(store, rate):
    limiter_on(store, "5/day").hit("a", 3)
    changed = Limiter("inmemory", rate, strategy=FixedWindow(), backend=store).sync
    assert (changed.stat("a").hits_remaining, store.keys) == (2, 1)


def test_states_that_another_strategy_cannot_read_count_as_none(store):
    limiter_on(store, "5/day").hit("a", 3)
    changed = Limiter("inmemory", "5/day", strategy=TokenBucket(), backend=store).sync
    assert changed.stat("a").hits_remaining == 5
    assert changed.hit("a", 2)
    assert changed.stat("a").hits_remaining == 3
    assert store.keys == 1


def test_the_same_algorithm_with_other_settings_reads_stored_states(store):
    Limiter("inmemory", "5/day", strategy=TokenBucket(), backend=store).sync.hit("a", 3)
    assert Limiter("inmemory", "9/day", strategy=TokenBucket(burst=4), backend=store).sync.stat("a").hits_remaining == 1


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_among_busy_threads_leaves_a_store_that_works():
    limiter = Limiter("inmemory", "1000000000/day", backend=InMemoryBackend()).sync
    with busy(lambda: limiter.hit("a")):
        assert [in_a_fork(lambda: limiter.hit("a").allowed) for _ in range(20)] == [True] * 20


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_among_threads_that_make_limiters_can_make_its_own(store):
    with busy(lambda: limiter_on(store).hit("a")):
        assert [in_a_fork(lambda: limiter_on(store).hit("b").allowed) for _ in range(20)] == [True] * 20


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_starts_from_the_quota_of_its_parent(store):
    limiter = Limiter("inmemory", "5/day", backend=store).sync
    limiter.hit("a", 3)
    assert in_a_fork(lambda: limiter.hit("a", 2).allowed and not limiter.hit("a"))
    assert limiter.hit("a", 2)


@contextmanager
def busy(work):
    """Four threads that call a function again and again."""
    stop, started = threading.Event(), threading.Barrier(5)

    def keep_on():
        sys.settrace(None)  # a tracer may hold a lock, which would stay locked in a fork
        started.wait()
        while not stop.is_set():
            work()

    threads = [threading.Thread(target=keep_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def in_a_fork(work):
    """Whether `work` returns true in a forked child, within ten seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    for _ in range(1000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False
