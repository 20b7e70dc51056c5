"""The twin of the sliding log with the largest limit. It cuts and searches the stored log without unpacking it."""

from __future__ import annotations

import random

import pytest

from tests.strategies.lua.twins import Step, Walk, by_lua, by_python
from tests.strategies.lua.walks import START
from traffik import Rate, SlidingLog
from traffik.strategies import plan
from traffik.strategies.sliding_window import MAX_ENTRIES

PERIOD = 1_000_000
PAUSE = 3 * PERIOD // 2 // MAX_ENTRIES


def long_walk(chance, dearest, length=20_000):
    """A walk with enough hits to fill the log. One in 500 compares the state, and one settles."""
    plans = [plan(SlidingLog(), [Rate(limit, PERIOD)], varying=True) for limit in (MAX_ENTRIES, MAX_ENTRIES - 1000)]
    now, steps = START, []
    for number in range(length):
        now += chance.randint(0, PAUSE) if chance.random() < 0.9998 else chance.randint(-PERIOD // 5, PERIOD // 5)
        operation = "hit" if number % 500 == 0 else "quiet"
        place = 1 + (number % 20_000 > 15_000)
        steps.append(Step(operation, place, chance.randint(1, dearest), now))
        if number % 500 == 250:
            steps.append(Step("settle", place, -chance.randint(1, dearest), now, chance.randint(0, 20)))
    return Walk(plans, steps)


@pytest.mark.parametrize("dearest", [1, 2000])
def test_a_log_of_thousands_of_entries_gives_the_same_decisions(dearest):
    walk = long_walk(random.Random(dearest), dearest)
    found = by_python(walk)
    assert found == by_lua(walk)
    assert any(line.startswith("0") for line, _ in found)
    if dearest == 1:
        assert max(len(log) for _, logs in found for log in logs) > 0.9 * MAX_ENTRIES
        assert any(line == "applied -1 0" for line, _ in found)
