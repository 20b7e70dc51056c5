"""Promise 2: each hit takes effect at one instant between its call and its return."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from itertools import permutations
from typing import ClassVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.promises.histories import Hit, linearizable, record
from tests.walks import STRATEGIES
from traffik import FixedWindow, Limiter, Rate
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

NOW = 1_700_000_000_000_000


class Racy(InMemoryBackend):
    """A broken store: other threads may run between its read and its write of a state."""

    states: ClassVar = {}

    def prepare(self, uid, plan, *, sync):
        return replace(super().prepare(uid, plan, sync=sync), charge=lambda key, cost: self.charge(plan, key, cost))

    def charge(self, plan, key, cost):
        state = self.states.get((self, key))
        decision, changed, _ = plan.kernel(state, cost, self._clock() // 1000)
        time.sleep(0)
        if changed is not None:
            self.states[self, key] = changed
        return decision


def explained(store, strategy, seed):
    """Let threads hit on `store`; whether some order explains the history."""
    limiter = Limiter("promises", Rate(12, 1_000_000), strategy=strategy, backend=store)
    chance, capacity = random.Random(seed), limiter.own_plan.capacity
    costs = [[min(chance.choice((1, 1, 2, 3)), capacity) for _ in range(5)] for _ in range(4)]
    history = record(lambda cost: limiter.sync.hit("a", cost), costs)
    return linearizable(history, lambda state, cost: limiter.own_plan.kernel(state, cost, NOW)[:2])


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_promise_2_every_hit_takes_effect_at_one_instant(strategy):
    assert all(explained(InMemoryBackend(clock=VirtualClock(NOW)), strategy, seed) for seed in range(20))


def test_promise_2_a_broken_store_is_caught():
    assert not all(explained(Racy(clock=VirtualClock(NOW)), FixedWindow(), seed) for seed in range(200))


def counter(state, cost):
    """A decider that admits two units."""
    left = 2 if state is None else state
    return (left - cost, left - cost) if cost <= left else (None, None)


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([Hit(0, 1, 1, 1), Hit(2, 3, 1, 0), Hit(4, 5, 1, None)], True),
        ([Hit(2, 3, 1, 1), Hit(0, 1, 1, 0)], False),
        ([Hit(0, 3, 1, 1), Hit(0, 1, 1, 0)], True),
        ([Hit(0, 3, 1, 1), Hit(0, 3, 1, 1)], False),
        ([Hit(0, 3, 1, None)], False),
    ],
)
def test_the_checker_accepts_exactly_the_valid_histories(hits, expected):
    assert linearizable(hits, counter) is expected


def wheel(state, cost):
    """A decider that adds `cost` thirds and returns the new whole numbers, so different states may decide alike."""
    return divmod((state or 0) + cost, 3)


def explained_by_some_order(hits):
    """The definition of `linearizable`: try every order."""
    return any(agrees(order) for order in permutations(hits))


def agrees(order):
    state = None
    for place, hit in enumerate(order):
        decision, state = wheel(state, hit.cost)
        if decision != hit.decision or any(later.returned < hit.called for later in order[place:]):
            return False
    return True


spans = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
some_hits = st.builds(lambda span, *of: Hit(*span, *of), spans, st.integers(0, 3), st.integers(0, 1))


@given(st.lists(some_hits, max_size=5))
@example([Hit(0, 2, 1, 0), Hit(0, 9, 1, 0), Hit(3, 4, 1, 0), Hit(5, 6, 2, 1)])
@settings(max_examples=1000)
def test_the_checker_agrees_with_trying_every_order(hits):
    assert linearizable(hits, wheel) is explained_by_some_order(hits)


def test_any_of_several_deciders_may_have_decided():
    hits = [Hit(0, 1, 1, 1), Hit(2, 3, 1, (1, 1))]
    assert linearizable(hits, counter, lambda state, cost: ((state, cost), None))
    assert not linearizable(hits, counter)


@pytest.mark.parametrize("last", [Hit(9_000, 9_001, 1, None), Hit(9_000, 9_001, 1, 0)])
def test_the_checker_is_fast_for_long_histories(last):
    refused = [Hit(number, number + 200, 1, None) for number in range(2, 5000)]
    history = [Hit(0, 1, 1, 1), Hit(0, 1, 1, 0), *refused, last]
    assert linearizable(history, counter) is (last.decision is None)
