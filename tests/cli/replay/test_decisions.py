"""A replay makes the same decisions as the in-memory store, hit for hit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.cli.replay.conftest import replayed
from tests.cli.replay.exact import START, replay
from tests.cli.replay.small import combined, json_lines
from traffik.strategies.named import STRATEGIES
from traffik_cli.replay.trials import trial_of

CLIENTS = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1"]

seconds = st.integers(0, 200).map(lambda second: START + second * 1_000_000)
micros = st.integers(0, 20_000_000).map(lambda micro: START + micro)
clients = st.sampled_from(CLIENTS)
rates = st.sampled_from(["3/10s", "1/s", "5/min", "0/min", "2/s; 7/min", "unlimited", "10/90s; 1/2s; 4/5s"])
kinds = st.sampled_from(sorted(STRATEGIES))


def agree(report, model):
    """Assert that both reports are equal in all that both contain."""
    limit = report.limits[0]
    assert model.requests.total() == report.requests
    assert model.refused.total() == report.refused == limit.refused
    assert len(model.requests) == limit.clients
    assert {**model.refused} == {each.key: each.refused for each in limit.worst}
    assert {**model.by} == limit.refused_by
    assert model.longest == (limit.longest.wait if limit.longest else 0)
    assert sum(step.refused for step in report.steps) == report.refused


@given(st.lists(st.tuples(seconds, clients), max_size=80), rates, kinds)
def test_it_makes_the_decisions_of_the_store(hits, rate, kind):
    trial = trial_of(rate, strategy=kind)
    report, _ = replayed([combined(sorted(hits, key=lambda hit: hit[0]))], [trial])
    agree(report, replay(hits, trial.plan))


@given(st.lists(st.tuples(micros, clients), max_size=80), rates, kinds)
def test_it_makes_them_for_hits_between_seconds(hits, rate, kind):
    trial = trial_of(rate, strategy=kind)
    report, _ = replayed([json_lines(sorted(hits, key=lambda hit: hit[0]))], [trial], form="json")
    agree(report, replay(hits, trial.plan))


@given(st.lists(st.tuples(seconds, clients), max_size=60), st.integers(1, 9))
def test_it_makes_them_for_any_cost_even_above_the_capacity(hits, cost):
    trial = trial_of("7/min; 12/3min", cost=cost)
    report, _ = replayed([combined(sorted(hits, key=lambda hit: hit[0]))], [trial])
    agree(report, replay(hits, trial.plan, cost))


@given(st.lists(st.tuples(micros, clients), max_size=60), st.sampled_from(["gcra", "token-bucket"]), st.integers(1, 9))
def test_it_makes_them_for_bursts_that_take_many_periods_to_refill(hits, kind, cost):
    trial = trial_of("1/s", strategy=kind, burst=9, cost=cost)
    report, _ = replayed([json_lines(sorted(hits, key=lambda hit: hit[0]))], [trial], form="json")
    agree(report, replay(hits, trial.plan, cost))


@given(st.lists(st.tuples(seconds, clients), max_size=60))
def test_lines_that_are_late_within_the_window_are_decided_in_the_order_of_time(hits):
    trial = trial_of("3/10s")
    report, (log,) = replayed([combined(hits)], [trial], window=200_000_000)
    agree(report, replay(hits, trial.plan))
    assert log.late == 0


@given(st.lists(st.tuples(seconds, clients, st.integers(0, 2)), max_size=60))
def test_several_logs_are_decided_as_one(hits):
    trial = trial_of("3/10s")
    hits = sorted(hits, key=lambda hit: (hit[0], hit[2]))
    parts = [[hit[:2] for hit in hits if hit[2] == part] for part in range(3)]
    report, _ = replayed([combined(part) for part in parts], [trial])
    agree(report, replay([hit[:2] for hit in hits], trial.plan))
