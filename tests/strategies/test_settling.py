"""Giving units back and charging in any case: never more generous than if the units had not been taken."""

from __future__ import annotations

import random

from tests.strategies.settlers import SettledKey
from tests.walks import every_strategy
from traffik import Rate

WALKS, LENGTH = 150, 60


def settled_keys(strategy):
    """Keys with random rates at every step of a random walk, with the units that the step requested and applied."""
    for number in range(WALKS):
        chance = random.Random(f"{strategy} {number}")
        key = SettledKey(strategy, Rate(chance.randint(1, 12), chance.randint(1, 60)), chance)
        for _ in range(LENGTH):
            yield key, *key.step()


@every_strategy
def test_a_key_never_has_more_quota_than_its_history_without_the_units(strategy):
    for key, asked, applied in settled_keys(strategy):
        for now in (key.now, key.now + key.chance.randint(0, 2 * key.rate.period)):
            assert key.remaining(now) <= key.history.remaining(now)
        assert abs(applied) <= abs(asked), "more is applied than was asked for"
        assert applied * asked >= 0
        assert key.wait_is_exact(key.chance.randint(1, key.plan.capacity))
