"""Every strategy and its Lua twin, side by side: the same decisions and the same states at every step."""

from __future__ import annotations

import os
import random

import pytest

from tests.core.lua.twins import by_lua, by_python
from tests.core.lua.walks import random_walk
from traffik import GCRA, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket

STRATEGIES = [
    FixedWindow(),
    SlidingWindow(),
    SlidingLog(),
    TokenBucket(),
    TokenBucket(50, debt=7),
    GCRA(burst=1),
    LeakyBucket(burst=1000),
]
LENGTH = 100
# For a longer run: TRAFFIK_DIFFERENTIAL_STEPS=10000000
STEPS = int(os.environ.get("TRAFFIK_DIFFERENTIAL_STEPS", "210000"))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_python_and_lua_answer_the_same(strategy):
    for number in range(STEPS // LENGTH // len(STRATEGIES)):
        walk = random_walk(random.Random(f"{strategy} {number}"), strategy, LENGTH)
        assert by_lua(walk) == by_python(walk), f"in walk {number}"
