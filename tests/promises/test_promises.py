"""The promises to users, with the in-memory store. (Promise 2 is in `test_linearizable.py`.)"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import toy
from tests.backends.test_inmemory import in_a_fork
from tests.promises.histories import eager_switches
from tests.walks import every_strategy, small_rates, steps
from traffik import (
    GCRA,
    HTTPThrottle,
    LeakyBucket,
    Limiter,
    Rate,
    SlidingCounter,
    SlidingLog,
    SlidingWindow,
    Throttled,
    TokenBucket,
    Transition,
    is_throttled,
)
from traffik.backends.inmemory import InMemoryBackend
from traffik.model.keys import local_key, partition_key
from traffik.testing import VirtualClock

pytestmark = pytest.mark.anyio


def stage(strategy, rate, **options):
    """A sync limiter on a store, and their clock."""
    clock = VirtualClock()
    store = InMemoryBackend(clock=clock, **options)
    return Limiter("promises", rate, strategy=strategy, backend=store).sync, store, clock


def bound_of(strategy, rate):
    """The most units that a window of one period may admit."""
    if isinstance(strategy, SlidingLog | SlidingWindow):
        return rate.limit
    return strategy.capacity(rate) + rate.limit - 1


class Timed(threading.local):
    """A strategy that notes the time of the last decision in each thread."""

    def __init__(self, strategy):
        self.strategy = strategy

    def decide(self, state, rate, cost, now):
        self.now = now
        return Transition(*self.strategy.decide(state, rate, cost, now))


@every_strategy
def test_promise_1_no_window_admits_more_than_its_bound(strategy):
    rate, timed, log = Rate(5, 100), Timed(strategy), []
    limiter, _, clock = stage(timed, rate)
    turn = threading.Lock()  # two threads that move the clock at once could move it back

    def hit(seed):
        chance = random.Random(seed)
        for _ in range(300):
            cost = chance.choice((1, 1, 2))
            if limiter.hit("a", cost):
                log.append((timed.now, cost))
            with turn:
                clock.advance(microseconds=chance.choice((0, 0, 1, 7)))

    with eager_switches(), ThreadPoolExecutor(4) as pool:
        list(pool.map(hit, range(4)))
    assert len(log) > 10
    for begin, _ in log:
        assert sum(cost for now, cost in log if begin <= now < begin + 100) <= bound_of(strategy, rate)


@every_strategy
@given(data=st.data())
def test_promise_3_a_refused_hit_consumes_nothing_and_changes_no_later_decision(strategy, data):
    rate = data.draw(small_rates)
    (quiet, _, one), (flooded, _, two) = stage(strategy, rate), stage(strategy, rate)
    for pause, cost in data.draw(steps(strategy, rate)):
        one.advance(microseconds=pause)
        two.advance(microseconds=pause)
        for dear in range(1, rate.limit + 5):
            if not flooded.check("a", dear):
                assert not flooded.hit("a", dear)
        assert quiet.hit("a", cost) == flooded.hit("a", cost)


@every_strategy
@given(data=st.data())
def test_promise_4_the_wait_is_exact(strategy, data):
    rate = data.draw(small_rates)
    limiter, _, clock = stage(strategy, rate)
    for pause, cost in data.draw(steps(strategy, rate)):
        clock.advance(microseconds=pause)
        decision = limiter.hit("a", cost)
        if not decision and not decision.never:
            clock.advance(microseconds=decision.retry_after - 1)
            assert not limiter.hit("a", cost)
            clock.advance(microseconds=1)
            assert limiter.hit("a", cost)


@every_strategy
@pytest.mark.parametrize("rate", ["3/s", "7/1500ms", "100/min", "9973/day"])
def test_promise_4_obeying_the_header_is_always_enough_for_a_lone_client(strategy, rate):
    store = InMemoryBackend(clock=(clock := VirtualClock()))
    throttle = HTTPThrottle("promises", rate, strategy=strategy, backend=store)
    most = throttle.own_plan.capacity
    for cost in (1, most, 1, most, min(2, most), 1):
        try:
            throttle.sync.hit(toy.Request(), cost)
        except Throttled as refused:
            clock.advance(seconds=int(dict(refused.rejection.headers)["Retry-After"]))
            throttle.sync.hit(toy.Request(), cost)


class Unreachable(InMemoryBackend):
    """A store whose calls raise."""

    def prepare(self, uid, plan, *, sync):
        return replace(super().prepare(uid, plan, sync=sync), charge=self.ask, read=self.ask)

    def ask(self, key, cost):
        raise AssertionError("the store was asked")


@every_strategy
async def test_promise_5_a_cost_above_the_capacity_is_refused_without_the_store_and_with_finite_headers(strategy):
    throttle = HTTPThrottle("promises", "5/min", strategy=strategy, backend=Unreachable())
    connection = toy.Request()
    with pytest.raises(Throttled) as caught:
        await throttle.hit(connection, 2**31 - 1)
    assert caught.value.decision.never
    assert is_throttled(connection)
    assert dict(caught.value.rejection.headers).keys() == {"RateLimit-Policy"}


@pytest.mark.parametrize("cost", [-1, 2**31, 1.0, True, "1", float("nan"), None], ids=repr)
async def test_promise_6_an_invalid_cost_is_refused_before_any_effect(cost, store):
    limiter = Limiter("promises", "5/min", cost=lambda _: cost, backend=store)
    with pytest.raises((TypeError, ValueError), match="a cost is"):
        await limiter.hit("a")
    assert store.keys == 0


@pytest.mark.parametrize("cost", [1, 2, 2**31 - 1])
async def test_promise_6_costs_go_from_0_to_the_largest_integer_of_32_bits(cost, store):
    assert await Limiter("promises", f"{2**31}/day", backend=store).hit("a", cost)


async def test_promise_6_a_cost_of_0_touches_nothing():
    limiter = Limiter("promises", "5/min", backend=Unreachable())
    assert await limiter.hit("a", 0)
    assert limiter.sync.hit("a", 0)


@every_strategy
@given(data=st.data())
def test_promise_7_check_and_stat_change_nothing(strategy, data):
    rate = data.draw(small_rates)
    (quiet, its, one), (watched, theirs, two) = stage(strategy, rate), stage(strategy, rate)
    for pause, cost in data.draw(steps(strategy, rate)):
        one.advance(microseconds=pause)
        two.advance(microseconds=pause)
        watched.check("a", cost)
        watched.stat("a")
        watched.check("b")
        assert quiet.hit("a", cost) == watched.hit("a", cost)
        assert its.keys == theirs.keys


@every_strategy
@given(data=st.data())
def test_promise_7_stat_has_exactly_the_remaining_quota_of_a_hit(strategy, data):
    rate = data.draw(small_rates)
    limiter, _, clock = stage(strategy, rate)
    for pause, cost in data.draw(steps(strategy, rate)):
        clock.advance(microseconds=pause)
        limiter.hit("a", cost)
        left = limiter.stat("a").hits_remaining
        assert limiter.check("a", left)
        assert not limiter.check("a", left + 1)
        assert (limiter.stat("a").wait_ms > 0) == (left == 0)


def test_promise_14_a_store_in_this_process_uses_the_monotonic_clock():
    assert InMemoryBackend()._clock is time.monotonic_ns


@every_strategy
def test_promise_14_a_clock_going_back_never_refills(strategy):
    limiter, _, clock = stage(strategy, "4/s")
    while limiter.hit("a"):
        pass
    for span in (1, 10**6, 10**7, 10**9):
        clock.rewind(microseconds=span)
        assert not limiter.hit("a")
        assert limiter.stat("a").hits_remaining == 0


@pytest.mark.parametrize("strategy", [SlidingCounter(), TokenBucket(), GCRA(burst=1), LeakyBucket(burst=3)], ids=repr)
@pytest.mark.parametrize("forward", [1, 100_000, 333_333, 999_999])
def test_promise_14_going_forward_refills_no_more_than_the_rate_allows(strategy, forward):
    limiter, _, clock = stage(strategy, "10/s")
    while limiter.hit("a"):
        pass
    clock.advance(seconds=1)
    before = limiter.stat("a").hits_remaining
    clock.advance(microseconds=forward)
    assert limiter.stat("a").hits_remaining - before <= -(-Fraction(forward, 10**6) * 10 // 1)


@every_strategy
def test_promise_15_a_state_is_kept_until_it_equals_a_new_one_and_removed_soon_after(strategy):
    limiter, store, clock = stage(strategy, "4/s")
    capacity = limiter.hit("a").limit
    life = strategy.prepare(Rate(4, 1_000_000))(None, 1, clock.now)[2]
    clock.advance(microseconds=life - 1)
    assert limiter.stat("a").hits_remaining < capacity
    for _ in range(10):
        clock.advance(microseconds=life)
        limiter.hit("somebody else")
    assert store.keys == 1


def test_promise_16_memory_is_bounded_and_no_client_out_of_quota_is_forgotten():
    limiter, store, clock = stage(None, "5/min", max_keys=100)
    victims = [f"victim:{number}" for number in range(100)]
    for victim in victims:
        limiter.hit(victim, 5)
    for number in range(20_000):
        clock.advance(microseconds=1)
        assert limiter.hit(f"flood:{number}").degraded == "overflow"
    assert store.keys == 100
    assert sum(len(table.overflow) for table in store._tables.values()) <= 1024
    assert not any(limiter.hit(victim) for victim in victims)


@given(
    st.lists(
        st.tuples(st.text(max_size=5), st.text(min_size=1, max_size=5), st.none() | st.text(), st.text()), unique=True
    )
)
def test_promise_17_keys_are_injective_printable_bounded_and_have_one_hash_tag(parts):
    keys = [partition_key(namespace, uid, local_key(scope, identity)) for namespace, uid, scope, identity in parts]
    assert len(set(keys)) == len(parts)
    assert all(re.fullmatch(r"[!-z|~]*\{[!-z|~]+\}", key) and key.count("{") == 1 and len(key) <= 6000 for key in keys)


@every_strategy
@given(data=st.data())
def test_promise_19_lowering_a_limit_never_grants_fresh_quota(strategy, data):
    rate = data.draw(small_rates)
    now = {"rate": rate}
    limiter, _, clock = stage(strategy, lambda: now["rate"])
    for pause, cost in data.draw(steps(strategy, rate)):
        clock.advance(microseconds=pause)
        limiter.hit("a", cost)
    before = limiter.stat("a").hits_remaining
    now["rate"] = Rate(data.draw(st.integers(1, rate.limit)), rate.period)
    assert limiter.stat("a").hits_remaining <= before


async def test_promise_20_one_throttle_works_from_several_loops_and_threads(anyio_backend_name, store):
    throttle = HTTPThrottle("promises", "100/day", backend=store)
    admitted = []

    async def hits():
        admitted.extend([await throttle.decide(toy.Request()) for _ in range(20)])

    threads = [
        threading.Thread(target=anyio.run, args=(hits,), kwargs={"backend": anyio_backend_name}) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    await hits()
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)
    assert sum(decision.allowed for decision in admitted) == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_promise_20_one_throttle_works_in_forked_workers(store):
    throttle = HTTPThrottle("promises", "5/day", backend=store)
    throttle.sync.hit(toy.Request())
    for _ in range(3):
        assert in_a_fork(lambda: [bool(throttle.sync.check(toy.Request(), cost)) for cost in (4, 5)] == [True, False])
    assert throttle.sync.hit(toy.Request(), 4)
