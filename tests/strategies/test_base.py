"""What strategies share: probes, charges in any case, the life of a state, and ticks."""

from __future__ import annotations

import pytest

from traffik import Decision, FixedWindow, Rate
from traffik.strategies import Settled, probe
from traffik.strategies.base import UNCHANGED, charge_anyway, finest_tick, inexact, lasts, settled

RATE = Rate(5, 60)


def kernel(state, cost, now):
    """Counts down: a state is the units left, which come back at the time 100."""
    (left,) = state or (5,)
    if cost > left:
        return Decision(False, 5, left, 100 - now + cost, 7, RATE), None, 0
    return Decision(True, 5, left - cost, 0, 8, RATE), (left - cost,), 39 - now


def test_a_probe_has_the_wait_for_one_unit():
    assert probe(kernel, (2,), 30) == Decision(True, 5, 2, 0, 8, RATE)
    assert probe(kernel, (1,), 30) == Decision(True, 5, 1, 0, 8, RATE)
    assert probe(kernel, (0,), 30) == Decision(True, 5, 0, 71, 8, RATE)


def test_a_settled_key_is_probed_in_its_new_state_or_in_the_old_one():
    allowed = Decision(True, 5, 1, 0, 8, RATE)
    assert settled(kernel, (4,), ((1,), 6, -3), 30) == Settled(allowed, (1,), 6, -3)
    assert settled(kernel, (1,), UNCHANGED, 30) == Settled(allowed, None, 0, 0)

    def overdrawn(state, cost, now):
        return Decision(False, 5, 0, now + cost, 8, RATE), None, 0

    assert settled(overdrawn, (1,), UNCHANGED, 30).decision == Decision(True, 5, 0, 31, 8, RATE)


@pytest.mark.parametrize(
    ("left", "units", "expected"), [(4, 3, ((1,), 9, 3)), (1, 3, ((0,), 9, 1)), (0, 3, UNCHANGED), (4, 0, UNCHANGED)]
)
def test_as_many_units_are_charged_in_any_case_as_fit(left, units, expected):
    assert charge_anyway(kernel, (left,), units, 30) == expected


@pytest.mark.parametrize(("state", "reset", "ttl", "life"), [((1,), 3, 2, 3), ((1,), 2, 3, 3), (None, 2, 3, 0)])
def test_a_state_lasts_for_its_ttl_or_until_the_quota_is_whole(state, reset, ttl, life):
    def kernel(state, cost, now):
        later = now + 100 * cost + sum(state or ())
        return Decision(True, 5, 5 - cost, 0, reset + later), state, ttl + later

    assert lasts(kernel, state, 10) == (life and life + 11)


@pytest.mark.parametrize(
    ("period", "least", "tick"), [(6000, 0, 1), (6000, 2, 10), (6000, 1000, 1000), (6000, 1001, None), (6001, 2, None)]
)
def test_a_tick_is_the_smallest_power_of_ten_that_divides_the_period_and_fits(period, least, tick):
    assert finest_tick(period, lambda tick: tick >= least) == tick


def test_a_rate_with_too_large_numbers_is_named():
    assert "FixedWindow() cannot count '5/60us' exactly" in str(inexact(FixedWindow(), RATE))
