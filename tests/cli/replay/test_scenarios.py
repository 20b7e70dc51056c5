"""Several throttles with rules: which of them decide on a request, and in which order."""

from __future__ import annotations

import pytest

from tests.cli.replay.exact import START
from traffik.model.errors import ConfigurationError
from traffik.throttles.entries import entries_of
from traffik_cli.replay.trials import trial_of, trials_of

POLICY = """
[[throttle]]
uid = "everything"
rate = "6/min"

[[throttle.rule]]
path = "/health"
bypass = true

[[throttle]]
uid = "logins"
rate = "2/min"
key = "header:User-Agent"

[[throttle.rule]]
path = "/login"
methods = ["POST"]
"""


TWO_PATHS = """
[[throttle]]
uid = "a"
rate = "1/min"
rule = [{path = "/a"}]

[[throttle]]
uid = "b"
rate = "1/min"
rule = [{path = "/b"}]
"""


def line(request, second=0, agent="-", client="192.0.2.1"):
    return (f'{client} - - [10/Oct/2025:00:00:{second:02} +0000] "{request} HTTP/1.1" 200 5 "-" "{agent}"\n').encode()


@pytest.fixture
def policy():
    return trials_of(entries_of("limits.toml", POLICY))


def test_each_throttle_decides_the_requests_that_its_rules_match(policy, replay):
    requests = ["GET /health"] * 9 + ["POST /login?next=/"] * 3 + ["GET /login"] * 2 + ["GET /a"]
    report, _ = replay([b"".join(line(request, agent="curl") for request in requests)], policy)
    everything, logins = report.limits
    assert (everything.requests, everything.refused, logins.requests, logins.refused) == (6, 0, 3, 1)
    assert [each.key for each in logins.worst] == ["header:user-agent:curl"]
    assert (report.requests, report.refused) == (15, 1)


def test_throttles_after_a_refusal_are_not_asked(policy, replay):
    report, _ = replay([line("GET /a") * 6 + line("POST /login") * 3], policy)
    everything, logins = report.limits
    assert (everything.requests, everything.refused, logins.requests) == (9, 3, 0)


def test_a_path_is_decoded_before_rules_match_it(policy, replay):
    report, _ = replay([line("POST /%6Cogin") * 3], policy)
    assert report.limits[1].refused == 1


def test_one_throttle_counts_the_requests_that_its_rules_match(policy, replay):
    report, _ = replay([line("POST /login", client="192.0.2.7") * 4 + line("GET /a") * 4], policy[1:])
    assert (report.requests, report.refused, report.limits[0].requests) == (8, 2, 4)
    assert [each.key for each in report.limits[0].worst] == ["192.0.2.7"]


def test_throttles_of_websockets_are_left_out():
    chat = '[[throttle]]\nuid = "chat"\nrate = "1/s"\nwebsocket = true\n'
    assert [trial.uid for trial in trials_of(entries_of("limits.toml", chat + POLICY))] == ["everything", "logins"]
    with pytest.raises(ConfigurationError, match="all throttles in the file guard WebSockets"):
        trials_of(entries_of("limits.toml", chat))


def test_throttles_may_have_different_keys(replay):
    trials = [trial_of("2/min", uid="agents", key="field:agent"), trial_of("3/min", uid="hosts")]
    content = b"".join(line("GET /", agent=agent) for agent in "aabbcc")
    report, _ = replay([content], trials)
    assert [limit.refused for limit in report.limits] == [0, 3]
    assert [limit.clients for limit in report.limits] == [3, 1]


def test_throttles_with_the_same_key_are_asked_in_order(replay):
    trials = [trial_of("2/min", uid="one"), trial_of("1/min", uid="two")]
    report, _ = replay([line("GET /") * 4], trials)
    assert [(limit.requests, limit.refused) for limit in report.limits] == [(4, 2), (2, 1)]
    assert (report.refused, report.first) == (3, START)


@pytest.mark.parametrize("shared", [0, 1, 3])
def test_a_client_of_several_throttles_counts_once(shared, replay):
    entries = entries_of("x", TWO_PATHS)
    first = b"".join(line("GET /a", client=f"192.0.2.{last}") * 2 for last in range(3))
    second = b"".join(line("GET /b", client=f"192.0.2.{last}") * 2 for last in range(3 - shared, 6 - shared))
    report, _ = replay([first + second], trials_of(entries))
    assert (6 - shared, 6 - shared) == (report.clients, report.touched)
