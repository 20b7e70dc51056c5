"""The conditions of `--fail-if`, and the errors for invalid ones."""

from __future__ import annotations

import pytest

from tests.cli.replay.test_scenarios import line
from traffik.model.errors import ConfigurationError
from traffik_cli.replay.conditions import condition, share
from traffik_cli.replay.trials import trial_of

CONTENT = line("GET /") * 4 + line("GET /", client="192.0.2.2") + b"what?\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("refused > 2", False),
        ("refused >= 2", True),
        ("refused>39.9%", True),
        ("refused > 40%", False),
        ("refused = 40%", True),
        ("touched == 50%", True),
        ("touched != 1", False),
        ("requests < 6", True),
        ("clients <= 2", True),
        ("peak > 4", True),
        ("wait > 59s", True),
        ("wait > 2min", False),
        ("wait > 59", True),
        ("malformed > 16%", True),
        ("late > 0", False),
    ],
)
def test_a_condition_is_true_or_false(text, expected, replay):
    report, logs = replay([CONTENT], "2/min")
    assert expected == condition(text).holds(report, logs)


@pytest.mark.parametrize("trial", [trial_of("2/min", cost=3), trial_of("0/min")], ids=["too dear", "a limit of 0"])
def test_a_wait_without_end_exceeds_every_limit(trial, replay):
    report, logs = replay([CONTENT], [trial])
    assert condition("wait > 30s").holds(report, logs)
    assert condition("wait > 999999999999999d").holds(report, logs)


def test_without_requests_no_share_is_exceeded(replay):
    report, logs = replay([b""], "2/min")
    assert not condition("refused > 0%").holds(report, logs)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a condition"),
        ("refused", "is not a condition"),
        ("refused > ", "is not a condition"),
        ("refused => 1", "is not a condition"),
        ("refused > 1.2.3", "is not a number"),
        ("refused > 9999999999999999", "is not a number"),
        ("load > 1", "there is no measure 'load'"),
        ("wait > 1%", "wait has no percentage"),
        ("peak > 1s", "'s' is not a unit of peak"),
        ("__import__('os') > 1", "is not a condition"),
        ("refused > 1 or 1", "is not a condition"),
    ],
)
def test_an_invalid_condition_is_an_error_that_shows_the_grammar(text, why):
    with pytest.raises(ConfigurationError, match=why):
        condition(text)


def test_an_unknown_unit_of_time_is_an_error():
    with pytest.raises(ConfigurationError, match="not a unit of time"):
        condition("wait > 3 fortnights")


@pytest.mark.parametrize("text", ["x", "-1%", "101%", "", "1e3%"])
def test_what_is_no_share(text):
    with pytest.raises(ConfigurationError, match=r"not a share|not a number"):
        share(text)
