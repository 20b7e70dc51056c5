"""Hits of one key from several threads in the in-memory store, which decides most of them without its lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.interrupting import in_thread
from tests.promises.histories import eager_switches
from traffik import FixedWindow, Limiter, SlidingCounter, SlidingWindow, TokenBucket
from traffik.backends.inmemory import backend
from traffik.limits.combinations import Hit
from traffik.throttles.all_of import hit_all_sync


@dataclass(frozen=True)
class Interleaved:
    """A strategy that runs a function in another thread after the store has read the state."""

    counted: object = field(default_factory=FixedWindow)
    beside: list = field(default_factory=list, compare=False)

    def decide(self, state, rate, cost, now):
        if self.beside:
            in_thread(self.beside.pop())
        return self.counted.decide(state, rate, cost, now)


@pytest.fixture
def beside():
    return []


@pytest.fixture
def limiter(store, beside):
    return limiter_on(store, strategy=Interleaved(beside=beside))


def limiter_on(store, rate="50/day", **options):
    return Limiter("unlocked", rate, backend=store, **options).sync


def by_context(identity, context):
    return context["rate"]


def test_a_hit_counts_the_one_that_another_thread_made_meanwhile(limiter, beside):
    limiter.hit("ada")
    beside.append(lambda: limiter.hit("ada", 7))
    assert limiter.hit("ada").remaining == 41
    assert limiter.stat("ada").hits_remaining == 41


def test_a_refusal_is_decided_again_if_another_thread_has_given_quota_back(limiter, beside):
    limiter.hit("ada", 50)
    beside.append(lambda: limiter.reset("ada"))
    assert limiter.hit("ada").remaining == 49


def test_a_key_that_another_thread_moved_to_a_new_generation_is_counted_there(clock, limiter, beside):
    def move():
        clock.advance(seconds=7 * 3600)  # the generation ends after six
        limiter.hit("bob")
        limiter.hit("ada")

    limiter.hit("ada")
    beside.append(move)
    assert limiter.hit("ada").remaining == 47


def test_a_state_is_kept_as_long_as_it_counts_if_its_generation_ends_meanwhile(store, clock, beside):
    def end():
        clock.advance(seconds=600)
        limiter.hit("bob")

    limiter = limiter_on(store, "48/day", strategy=Interleaved(TokenBucket(), beside))
    limiter.hit("ada")  # whole again after half an hour, so that its generation ends after 450 s
    beside.append(end)
    limiter.hit("ada", 46)
    clock.advance(seconds=7200)
    limiter.hit("bob")  # forgets generations that have expired
    assert limiter.stat("ada").hits_remaining == 5


@pytest.mark.parametrize("counted", [FixedWindow(), SlidingCounter()], ids=repr)
def test_a_hit_by_another_rate_in_another_thread_counts_too(store, beside, counted):
    limiter = limiter_on(store, by_context, strategy=Interleaved(counted, beside))
    limiter.hit("ada", context={"rate": "50/day"})
    beside.append(lambda: limiter.hit("ada", context={"rate": "100/day; 500/week"}))
    assert limiter.hit("ada", context={"rate": "50/day"}).remaining == 47


@pytest.mark.parametrize("one_step", [True, False], ids=["unlocked", "locked"])
@pytest.mark.parametrize("strategy", [SlidingWindow(), FixedWindow()], ids=repr)
def test_threads_together_get_the_limit_and_no_more(monkeypatch, store, strategy, one_step):
    monkeypatch.setattr(backend, "_ONE_STEP", one_step)
    limiter = limiter_on(store, "500/day", strategy=strategy)
    with eager_switches(), ThreadPoolExecutor(4) as pool:
        admitted = sum(pool.map(lambda _: sum(bool(limiter.hit("ada")) for _ in range(300)), range(4)))
    assert admitted == 500


def test_a_refused_decision_over_several_limits_disturbs_no_hit_of_another_thread(store):
    shared, empty = Limiter("shared", "600/day", backend=store), Limiter("empty", "1/day", backend=store)
    empty.sync.hit("ada")

    def hit_both(_):
        assert not hit_all_sync("ada", Hit(shared, 400), empty)

    with eager_switches(), ThreadPoolExecutor(4) as pool:
        refused = pool.map(hit_both, range(300))
        alone = pool.map(lambda _: sum(bool(shared.sync.hit("ada")) for _ in range(100)), range(6))
        assert sum(alone) == 600
        list(refused)


def test_threads_that_hit_by_two_rates_in_turn_lose_no_hit(store):
    limiter = limiter_on(store, by_context)
    rates = [{"rate": "1000/day"}, {"rate": "1000/day; 9000/week"}]

    def hit(number):
        return [bool(limiter.hit("ada", context=rates[(number + turn) % 2])) for turn in range(100)]

    with eager_switches(), ThreadPoolExecutor(4) as pool:
        assert all(map(all, pool.map(hit, range(8))))
    assert limiter.stat("ada", context=rates[0]).hits_remaining == 200
