"""Decisions are plain values. Conversions of their times round up."""

from __future__ import annotations

import pickle

import pytest

from traffik import NEVER, Decision, Rate
from traffik.model.decisions import ADMITTED, PartitionedDecision, SettledDecision


@pytest.mark.parametrize(
    ("micros", "millis", "seconds"),
    [(0, 0, 0), (1, 1, 1), (1000, 1, 1), (1001, 2, 1), (1_000_000, 1000, 1), (1_000_001, 1001, 2)],
)
def test_waits_round_up(micros, millis, seconds):
    decision = Decision(allowed=False, limit=1, remaining=0, retry_after=micros)
    assert (decision.wait_ms, decision.wait_seconds) == (millis, seconds)


def test_milliseconds_are_a_float():
    assert isinstance(ADMITTED.wait_ms, float)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_decision_is_true_if_it_is_allowed(allowed):
    assert bool(Decision(allowed=allowed, limit=1, remaining=0)) is allowed


def test_only_an_endless_wait_is_never():
    assert Decision(allowed=False, limit=1, remaining=0, retry_after=NEVER).never
    assert not Decision(allowed=False, limit=1, remaining=0, retry_after=NEVER - 1).never


def test_a_decision_cannot_be_changed():
    with pytest.raises(AttributeError):
        ADMITTED.allowed = False


def test_a_decision_is_pickled_by_value():
    decision = Decision(allowed=True, limit=5, remaining=4, rate=Rate(5, 1000))
    assert pickle.loads(pickle.dumps(decision)) == decision


def test_a_decision_may_know_its_partition_or_the_units_that_moved():
    parted, settled = PartitionedDecision.of(ADMITTED, b"p"), SettledDecision.of(ADMITTED, -3)
    assert parted == settled == ADMITTED
    assert (ADMITTED.partition, settled.partition, parted.partition) == (b"", b"", b"p")
    assert (SettledDecision(*ADMITTED).units, settled.units) == (0, -3)
