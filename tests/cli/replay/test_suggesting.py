"""The suggested limit is the lowest that meets the target, exactly as if every request had been decided."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffik.model.errors import ConfigurationError
from traffik.model.rates import parse_rates
from traffik.strategies import TokenBucket, plan
from traffik.strategies.named import STRATEGIES
from traffik_cli.replay.applied import applied
from traffik_cli.replay.batches import Wanted
from traffik_cli.replay.fullest import arrays_of
from traffik_cli.replay.history import History
from traffik_cli.replay.reports import report_of
from traffik_cli.replay.scenarios import Scenario
from traffik_cli.replay.selectors import Selector
from traffik_cli.replay.suggesting import countable, refusable, suggest
from traffik_cli.replay.targets import Target, target_of
from traffik_cli.replay.trials import trial_of

START = 1_760_054_400
CLIENTS = [b"a", b"b", b"c", b"2001:db8::1", b"2001:db8::2", b"-"]
PERIOD = 10_000_000

hits = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(CLIENTS)), max_size=60).map(sorted)
targets = st.builds(Target, st.fractions(0, 1, max_denominator=50), st.sampled_from(["requests", "clients"]))
trials = st.one_of(
    st.builds(
        lambda name, cost: trial_of("1/10s", strategy=name, cost=cost),
        st.sampled_from(list(STRATEGIES)),
        st.integers(1, 3),
    ),
    st.just(trial_of("1/10s", strategy="token-bucket", burst=2)),
)


def remembered(given_hits):
    found = History(Selector("ip"))
    for now, key in given_hits:
        found.add([(START + now) * 1_000_000], [key])
    return found


def suggested(given_hits, target, trial=None, period=PERIOD):
    history = remembered(given_hits)
    return suggest(arrays_of(history), history, target, trial or trial_of("1/10s"), period, "")


def decided(given_hits, trial):
    """Decide every request by one throttle; the scenario."""
    scenario = Scenario("all", [trial], Wanted((trial.selector,)))
    for now, key in given_hits:
        scenario.decide((START + now) * 1_000_000, [key])
    return scenario


def met(target, scenario):
    entries = scenario.ledgers[0].entries()
    touched = sum(entry.refusals is not None for _, entry in entries)
    part, whole = (scenario.refused, scenario.requests) if target.of == "requests" else (touched, len(entries))
    return part <= target.share * whole


def with_limit(trial, limit):
    return replace(trial, plan=plan(trial.plan.strategy, parse_rates(f"{limit}/10s")))


@given(hits, targets, trials)
def test_the_suggestion_meets_the_target_and_the_limit_below_it_does_not(given_hits, target, trial):
    rate = suggested(given_hits, target, trial).rate
    if rate is None:
        assert trial.plan.strategy == TokenBucket(burst=2)
        return
    limit = int(rate.partition("/")[0])
    assert met(target, decided(given_hits, with_limit(trial, limit)))
    assert limit == 1 or not met(target, decided(given_hits, with_limit(trial, limit - 1)))


@given(hits, trials, st.integers(1, 12))
def test_clients_that_need_no_decision_are_never_refused(given_hits, trial, limit):
    tried, history = with_limit(trial, limit), remembered(given_hits)
    chosen = refusable(arrays_of(history), tried)
    refused = {key for key, entry in decided(given_hits, tried).ledgers[0].entries() if entry.refusals is not None}
    assert refused <= {name for name, may in zip(history.names, chosen, strict=True) if may}


@given(hits, trials, st.integers(1, 12))
def test_the_report_on_a_suggested_limit_equals_that_of_a_replay(given_hits, trial, limit):
    tried, history = with_limit(trial, limit), remembered(given_hits)
    found = report_of(applied("all", history, arrays_of(history), {"": tried}, tried))
    whole = report_of(decided(given_hits, tried))
    assert replace(found.limits[0], uid="") == replace(whole.limits[0], uid="")
    assert (found.steps, found.refused, found.touched) == (whole.steps, whole.refused, whole.touched)


@given(hits)
def test_the_fullest_period_may_begin_anywhere(given_hits):
    fullest = Counter()
    for begin, _ in given_hits:
        held = Counter(key[:8] for now, key in given_hits if begin <= now < begin + 10 and key != b"-")
        fullest |= held
    assert Counter(dict(suggested(given_hits, Target(Fraction(0), "clients")).peaks)) == Counter(fullest.values())


@pytest.mark.parametrize(("period", "expected"), [(10, 10), (9, 10), (21, 30)])
def test_a_log_searched_in_parts_gives_the_periods_of_the_whole(period, expected, monkeypatch):
    monkeypatch.setattr("traffik_cli.replay.fullest._PART", 7)
    history = remembered(sorted((now, key) for now in (0, 10, 20) for key in CLIENTS[:3] for _ in range(10)))
    assert list(arrays_of(history).fullest(period * 1_000_000).once) == [expected] * 3


@pytest.mark.parametrize(("most", "expected"), [(1000, 60), (60, 60), (55, 55), (3, 3), (0, 1)])
def test_a_limit_the_strategy_cannot_count_is_lowered(most, expected):
    assert expected == countable(60, lambda limit: limit <= most)


def test_the_percentiles_are_those_of_the_fullest_periods():
    given_hits = [(0, b"%d" % client) for client in range(1000) for _ in range(1 + client // 10)]
    found = suggested(given_hits, Target(Fraction(0), "clients"))
    assert found.quantiles == {"p50": 50, "p90": 90, "p99": 99, "p99.9": 100, "most": 100}


def test_few_limits_are_tried_and_large_ones_are_rounded_to_three_digits():
    given_hits = sorted((0, b"%d" % client) for client in range(100) for _ in range(client * 25))
    found = suggested(given_hits, Target(Fraction(5, 100), "requests"))
    assert len(found.tried) < 12
    assert found.rate.endswith("0/10s")


@pytest.mark.parametrize("text", ["0.1% of nothing", "lots", "200%", "1% clients"])
def test_an_invalid_target_is_an_error(text):
    with pytest.raises(ConfigurationError, match=r"not a target|not a share|not a number"):
        target_of(text)


def test_a_target_is_a_share_of_requests_or_clients():
    assert Target(Fraction(1, 1000), "requests") == target_of("0.1%") == target_of("0.1% of requests")
    assert str(target_of("1% of clients")) == "1% of clients"


def test_a_target_without_a_percent_sign_is_an_error_that_shows_it():
    with pytest.raises(ConfigurationError, match=r"'1' has no percent sign: write \"1%\""):
        target_of("1")
