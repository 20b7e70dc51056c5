"""Each strategy and its Lua twin make the same decisions and the same states at every step."""

from __future__ import annotations

import os
import random

import pytest

from tests.strategies.lua.twins import by_lua, by_python, by_server
from tests.strategies.lua.walks import random_walk
from traffik import GCRA, FixedWindow, LeakyBucket, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket

STRATEGIES = [
    FixedWindow(),
    SlidingWindow(),
    SlidingWindow(resolution=100),
    SlidingCounter(),
    SlidingLog(),
    TokenBucket(),
    TokenBucket(50, debt=7),
    GCRA(burst=1),
    LeakyBucket(burst=1000),
]
LENGTH = 100

# For a longer run: TRAFFIK_DIFFERENTIAL_STEPS=10000000
STEPS = int(os.environ.get("TRAFFIK_DIFFERENTIAL_STEPS", "180000"))
SHARE = STEPS // LENGTH // len(STRATEGIES)
SPARED = 20  # one walk in this number also runs on a server

pytestmark = pytest.mark.timeout(120 + STEPS // 10_000)
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)


@every_strategy
def test_python_and_lua_decide_the_same(strategy):
    for number in range(SHARE):
        walk = random_walk(random.Random(f"{strategy} {number}"), strategy, LENGTH)
        assert by_lua(walk) == by_python(walk), f"in walk {number}"


@every_strategy
def test_a_real_server_decides_the_same(strategy, server):
    for number in range(SHARE // SPARED):
        walk = random_walk(random.Random(f"{strategy} {number}"), strategy, LENGTH)
        assert by_server(walk, server) == by_python(walk), f"in walk {number}"
