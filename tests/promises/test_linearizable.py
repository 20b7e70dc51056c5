"""Promise 2: each hit takes effect at one instant between its call and its return."""

from __future__ import annotations

import random
import time
from typing import ClassVar

import pytest

from tests.core.walks import STRATEGIES
from tests.promises.histories import Hit, linearizable, record
from traffik import FixedWindow, Limiter, Rate
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

NOW = 1_700_000_000_000_000


class Racy(InMemoryBackend):
    """A broken store: between reading and writing a state it lets others have their turn."""

    states: ClassVar = {}

    def charge(self, uid, plan, key, cost):
        state = self.states.get((self, key))
        decision, changed, _ = plan.kernel(state, cost, self._clock() // 1000)
        time.sleep(0)
        if changed is not None:
            self.states[self, key] = changed
        return decision


def explained(store, strategy, seed):
    """Whether the history of threads that hit on `store` can be explained."""
    limiter = Limiter("promises", Rate(12, 1_000_000), strategy=strategy, backend=store)
    chance, capacity = random.Random(seed), limiter.plan.capacity
    costs = [[min(chance.choice((1, 1, 2, 3)), capacity) for _ in range(5)] for _ in range(4)]
    history = record(lambda cost: limiter.sync.hit("a", cost), costs)
    return linearizable(history, lambda state, cost: limiter.plan.kernel(state, cost, NOW)[:2])


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_promise_2_every_hit_takes_effect_at_one_instant(strategy):
    assert all(explained(InMemoryBackend(clock=VirtualClock(NOW)), strategy, seed) for seed in range(20))


def test_promise_2_a_broken_store_is_caught():
    assert not all(explained(Racy(clock=VirtualClock(NOW)), FixedWindow(), seed) for seed in range(200))


def counter(state, cost):
    """Two units, one after the other."""
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
def test_the_checker_knows_what_can_be_explained(hits, expected):
    assert linearizable(hits, counter) is expected
