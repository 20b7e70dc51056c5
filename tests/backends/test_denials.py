"""The deny cache, with times as arguments, in µs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik import GCRA, FixedWindow, Rate, SlidingLog, SlidingWindow, TokenBucket
from traffik.backends.resilience.denials import Denials, DenyCache
from traffik.model.decisions import NEVER, Decision
from traffik.strategies import plan

SECOND = 1_000_000
MARGIN = 1_000
PLAN = plan(FixedWindow(), [Rate(10, 60 * SECOND)])
REFUSAL = Decision(False, 10, 2, retry_after=SECOND // 2, reset_after=3 * SECOND, rate=PLAN.rates[0])


@pytest.fixture
def denials():
    """A cache that remembers that ``ada`` was refused a cost of 3 at 100."""
    cache = Denials(DenyCache(max_keys=3, staleness=1.0))
    cache.note("ada", PLAN, 3, REFUSAL, 100)
    return cache


def test_the_same_cost_is_refused_with_the_rest_of_the_wait(denials):
    found = denials.find("ada", PLAN, 3, 100 + 200_000)
    assert found == REFUSAL._replace(retry_after=300_000, reset_after=2_800_000)
    assert found.degraded is None


def test_a_larger_cost_is_refused_with_a_wait_that_is_enough(denials):
    found = denials.find("ada", PLAN, 4, 100 + 200_000)
    assert (found.allowed, found.retry_after, found.degraded) == (False, 2_800_000, "cached")


def test_a_smaller_cost_and_another_key_go_to_the_store(denials):
    assert (denials.find("ada", PLAN, 2, 200), denials.find("eve", PLAN, 3, 200)) == (None, None)


def test_another_plan_goes_to_the_store(denials):
    raised = plan(FixedWindow(), [Rate(20, 60 * SECOND)])
    assert denials.find("ada", raised, 3, 200) is None


def test_a_refusal_is_forgotten_a_margin_before_its_end(denials):
    end = 100 + SECOND // 2 - MARGIN
    assert denials.find("ada", PLAN, 3, end - 1).retry_after == MARGIN + 1
    assert denials.find("ada", PLAN, 3, end) is None


def test_a_refusal_is_used_for_at_most_the_staleness(denials):
    denials.note("eve", PLAN, 1, REFUSAL._replace(retry_after=60 * SECOND), 100)
    assert denials.find("eve", PLAN, 1, 100 + SECOND - 1) is not None
    assert denials.find("eve", PLAN, 1, 100 + SECOND) is None


@pytest.mark.parametrize("wait", [1, MARGIN, NEVER])
def test_a_wait_that_is_short_or_endless_is_not_remembered(denials, wait):
    denials.note("eve", PLAN, 1, REFUSAL._replace(retry_after=wait), 100)
    assert denials.find("eve", PLAN, 1, 100) is None


def test_the_latest_refusal_is_kept(denials):
    denials.note("ada", PLAN, 5, REFUSAL, 200)
    assert denials.find("ada", PLAN, 3, 300) is None
    assert denials.find("ada", PLAN, 5, 300) is not None


def test_above_its_maximum_the_oldest_key_is_forgotten(denials):
    for who in ("bob", "eve"):
        denials.note(who, PLAN, 3, REFUSAL, 100)
    denials.note("ada", PLAN, 3, REFUSAL, 100)  # ada is no longer the oldest
    denials.note("joe", PLAN, 3, REFUSAL, 100)
    found = {who for who in ("ada", "bob", "eve", "joe") if denials.find(who, PLAN, 3, 200) is not None}
    assert found == {"ada", "eve", "joe"}


def test_threads_never_fill_it_beyond_its_maximum():
    cache = Denials(DenyCache(max_keys=10))

    def note(number):
        cache.note(f"user:{number % 50}", PLAN, 1, REFUSAL, number)
        cache.forget(f"user:{number % 7}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(2000)))
    assert len(cache._known) <= 10


def test_a_key_can_be_forgotten_and_all_of_them(denials):
    denials.note("eve", PLAN, 3, REFUSAL, 100)
    denials.forget("ada")
    assert [denials.find(who, PLAN, 3, 200) is None for who in ("ada", "eve")] == [True, False]
    denials.forget()
    assert denials.find("eve", PLAN, 3, 200) is None


@given(
    st.sampled_from([FixedWindow(), SlidingWindow(), SlidingLog(), GCRA(burst=7), TokenBucket(debt=5)]),
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 40 * SECOND)), max_size=30),
)
def test_it_refuses_nothing_that_the_store_would_have_admitted(strategy, steps):
    cache, state, now, mine = Denials(DenyCache(staleness=100.0)), None, 10**12, plan(strategy, PLAN.rates)
    for cost, passed in steps:
        now += passed
        decision, changed, _ = mine.kernel(state, cost, now)
        found = cache.find("ada", mine, cost, now)
        if found is not None:
            assert not decision.allowed
        elif decision.allowed:
            state = changed
        else:
            cache.note("ada", mine, cost, decision, now)


@pytest.mark.parametrize("max_keys", [0, 1.0, True])
def test_max_keys_are_an_integer_from_1(max_keys):
    with pytest.raises(ValueError, match="an integer from 1, not"):
        DenyCache(max_keys=max_keys)


@pytest.mark.parametrize("staleness", [0, -1, float("nan"), True, "1"])
def test_a_staleness_is_a_number_above_0(staleness):
    with pytest.raises(ValueError, match="seconds above 0, not"):
        DenyCache(staleness=staleness)
