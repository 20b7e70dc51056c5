"""Writing suggested limits to a file that an application loads."""

from __future__ import annotations

import pytest

from traffik.model.errors import ConfigurationError
from traffik.rules.rule import Rule, RuleSet
from traffik.throttles.entries import entries_of
from traffik_cli.replay.filters import only_of
from traffik_cli.replay.grouping import OTHERS, Grouping
from traffik_cli.replay.trials import trial_of
from traffik_cli.replay.writing import check_writable, limits_text

PATHS = Grouping(path=True, method=True)


def written(groups, by=PATHS, only=(), trial=None):
    trial = trial or trial_of("5/min")
    return entries_of("limits.toml", limits_text(dict.fromkeys(groups, trial), by, only, ["By traffik."]))


def test_one_limit_is_written_for_all_requests():
    trial = trial_of(["5/min", "100/day"], strategy="token-bucket", burst=3, cost=2, key="header:X-Key")
    (entry,) = written([""], by=Grouping(), trial=trial)
    assert (entry.uid, entry.rates, entry.strategy) == ("suggested", trial.plan.rates, trial.plan.strategy)
    assert (entry.cost, entry.key, entry.rules) == (2, "header:X-Key", ())


def test_filters_become_the_rules_of_a_limit():
    (entry,) = written([""], by=Grouping(), only=[only_of("POST /login")])
    assert entry.rules == (Rule("/login", methods=["POST"]),)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/items/7", ["GET /items/*"]),
        ("GET", "/items/new", ["GET /items/new"]),
        ("POST", "/login", ["POST /login"]),
        ("GET", "/login", [OTHERS]),
        ("GET", "/items/new/7", [OTHERS]),
    ],
)
def test_each_request_meets_only_the_limit_of_its_group(method, path, expected):
    entries = written(["GET /items/*", "GET /items/new", "POST /login", OTHERS])
    assert expected == [each.uid for each in entries if RuleSet(each.rules).judge(method, path) is True]


def test_a_path_that_no_pattern_matches_is_a_comment():
    text = limits_text({"/a//b": trial_of("5/min")}, Grouping(path=True), (), [])
    assert "# Left out: no path in normal form matches" in text


def test_a_group_by_a_field_is_left_to_the_application():
    text = limits_text({'plan="gold\x7f"': trial_of("5/min")}, Grouping(fields=()), (), [])
    assert r'# No rule says this: apply it to requests with "plan=\"gold\u007f\"" alone.' in text
    (entry,) = entries_of("limits.toml", text)
    assert entry.uid == 'plan="gold\x7f"'


def test_without_a_limit_there_is_nothing_to_write():
    with pytest.raises(ConfigurationError, match="none to write"):
        limits_text({}, PATHS, (), [])


@pytest.mark.parametrize(
    ("how", "message"), [({"key": "field:user"}, "--key field:user"), ({"cost": "field:bytes"}, "--cost")]
)
def test_trials_that_a_file_cannot_express_are_errors(how, message):
    with pytest.raises(ConfigurationError, match=message):
        check_writable(trial_of("5/min", **how))
