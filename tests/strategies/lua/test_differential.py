"""Each strategy and its Lua twin make the same decisions and the same states at every step."""

from __future__ import annotations

import os
import random

import pytest

from tests.strategies.lua.twins import Step, Walk, by_lua, by_python, by_server
from tests.strategies.lua.walks import START, random_walk
from traffik import GCRA, FixedWindow, LeakyBucket, Rate, SlidingCounter, SlidingLog, SlidingWindow, TokenBucket
from traffik.strategies import plan

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
STEPS = int(os.environ.get("TRAFFIK_DIFFERENTIAL_STEPS", "60000"))
SHARE = STEPS // LENGTH // len(STRATEGIES)
SPARED = 10  # one walk in this number also runs on a server

pytestmark = pytest.mark.timeout(120 + STEPS // 10_000)
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)


@every_strategy
def test_python_and_lua_decide_the_same(strategy):
    for number in range(SHARE):
        walk = random_walk(random.Random(f"{strategy} {number}"), strategy, LENGTH)
        assert by_lua(walk) == by_python(walk), f"in walk {number}"


def test_the_same_former_rates_are_kept():
    chance, rates = random.Random(1), [Rate(90, 10**12 + number * 10**9) for number in range(24)]
    plans = [plan(SlidingCounter(), [rate], varying=True) for rate in rates]
    steps = [Step("hit", chance.randint(1, 24), 1, START + second) for second in range(400)]
    found = by_python(Walk(plans, steps))
    assert by_lua(Walk(plans, steps)) == found
    assert max(len(parts) for _, parts in found) == 17


@every_strategy
def test_a_real_server_decides_the_same(strategy, server):
    for number in range(SHARE // SPARED):
        walk = random_walk(random.Random(f"{strategy} {number}"), strategy, LENGTH)
        assert by_server(walk, server) == by_python(walk), f"in walk {number}"
