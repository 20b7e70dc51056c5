"""Suggestions of `traffik replay` from end to end: for all requests, for some of them, for each group."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from traffik import load_throttles

LEAP = "".join(
    f'198.51.100.{client} - - [10/Oct/2025:12:{minute:02}:{second:02} +0000] "GET / HTTP/1.1" 200 5\n'
    for minute, second in ((0, 59), (1, 0), (2, 0))
    for client in range(1, 101)
) + "".join(f'203.0.113.9 - - [10/Oct/2025:12:05:{at // 5:02} +0000] "GET / HTTP/1.1" 200 5\n' for at in range(300))


@pytest.fixture
def leap(tmp_path):
    (tmp_path / "leap.log").write_text(LEAP)
    return tmp_path / "leap.log"


@pytest.fixture
def plans(tmp_path):
    """A log of clients with two plans, one of them busier. Each request of bob has a number of bytes."""
    rows = [{"ts": 1_760_054_400 + at, "user": "bob", "plan": "gold", "bytes": 100 * at} for at in range(60)]
    rows += [{"ts": 1_760_054_400 + 5 * at, "user": "ada", "plan": "free", "bytes": 1} for at in range(12)]
    rows.sort(key=lambda row: row["ts"])
    (tmp_path / "plans.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "plans.json"


def found(said):
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)


def test_the_suggestion_is_between_a_limit_that_fails_and_one_that_meets_the_target(traffik, leap):
    call = ("replay", leap, "--target-refused", "5% of clients", "--strategy", "sliding-counter", "--json")
    (suggestion,) = found(traffik(*call))["suggestions"]
    assert suggestion["rate"] == "3/min"
    assert [each["met"] for each in suggestion["tried"]][:2] == [False, True]


def test_the_clients_refused_by_the_suggested_limit_are_shown(traffik, leap):
    report = found(traffik("replay", leap, "--target-refused", "5% of clients", "--json"))["scenarios"][-1]
    assert report["suggested"]
    assert [each["key"] for each in report["limits"][0]["worst"]] == ["203.0.113.9"]
    assert "203.0.113.9" in traffik("replay", leap, "--target-refused", "5% of clients").out


def test_a_given_rate_keeps_its_report_beside_the_suggestion(traffik, leap):
    call = ("replay", leap, "--rate", "100/min", "--target-refused", "5% of clients", "--json")
    first, second = found(traffik(*call))["scenarios"]
    assert (first["name"], first["suggested"], second["suggested"]) == ("100/min", False, True)


def test_a_target_without_a_percent_sign_is_an_error_that_shows_it(traffik, leap):
    said = traffik("replay", leap, "--target-refused", "1")
    assert said.code == 2
    assert 'write "1%"' in said.err


def test_a_limit_for_each_route_is_written_to_a_file_that_loads(traffik, access_log, tmp_path):
    call = ("replay", access_log, "--target-refused", "2% of clients", "--by", "path", "--by", "method")
    said = traffik(*call, "--write", tmp_path / "limits.toml")
    assert "POST /login" in said.out
    assert set(load_throttles(tmp_path / "limits.toml")) == {"GET /api/items/*", "GET /search", "POST /login"}
    again = found(traffik("replay", access_log, "--policy", tmp_path / "limits.toml", "--json"))["scenarios"][0]
    suggested = found(traffik(*call, "--json"))["scenarios"][0]
    assert Counter(limit["refused"] for limit in again["limits"]) == Counter(
        limit["refused"] for limit in suggested["limits"]
    )


def test_each_plan_gets_a_limit(traffik, plans):
    call = ("replay", plans, "--key", "field:user", "--target-refused", "0%", "--by", "field:plan", "--json")
    suggestions = found(traffik(*call))["suggestions"]
    assert [(each["group"], each["rate"]) for each in suggestions] == [("plan=gold", "60/min"), ("plan=free", "12/min")]


def test_a_suggestion_may_be_for_some_requests(traffik, access_log):
    call = ("replay", access_log, "--rate", "5/min", "--only", "POST /login", "--where", "field:status=200", "--json")
    document = found(traffik(*call))
    (every,) = found(traffik("replay", access_log, "--rate", "5/min", "--json"))["scenarios"]
    assert 0 < document["scenarios"][0]["requests"] < every["requests"]
    assert document["scenarios"][0]["requests"] + document["left_out"] == every["requests"]
    assert "left out" in traffik(*call[:-1]).out


def test_clients_of_a_network_are_ignored(traffik, leap):
    call = ("replay", leap, "--rate", "3/min", "--ignore", "203.0.113.0/24", "--json")
    assert found(traffik(*call))["scenarios"][0]["clients"] == 100


def test_a_field_may_be_the_cost_of_a_request(traffik, plans):
    call = ("replay", plans, "--key", "field:user", "--cost", "field:bytes", "--json")
    (report,) = found(traffik(*call, "--rate", "1000/min"))["scenarios"]
    # 0 + 100 + 200 + 300 + 400 bytes fit; a request for more than 1000 can never be admitted.
    assert (report["refused"], report["limits"][0]["never"]) == (55, True)
    (suggestion,) = found(traffik(*call, "--target-refused", "0%"))["suggestions"]
    assert suggestion["rate"] == f"{sum(range(0, 6000, 100))}/min"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--by", "path", "--rate", "5/min"), "--target-refused"),
        (("--write", "x.toml", "--target-refused", "1%", "--key", "field:user"), "cannot say --key"),
        (("--cost", "much", "--rate", "5/min"), "is not a cost"),
        (("--write", "missing/x.toml", "--target-refused", "1%"), "missing"),
    ],
)
def test_bad_options_are_errors_before_the_work_begins(options, message, traffik, leap):
    said = traffik("replay", leap, *options)
    assert said.code == 2
    assert message in said.err


def test_the_suggested_limit_is_written_for_another_server(traffik, leap):
    said = traffik(
        "replay", leap, "--target-refused", "5% of clients", "--strategy", "sliding-counter", "--as", "nginx"
    )
    assert "rate=3r/m;" in said.out
    assert traffik("replay", leap, "--rate", "9/min", "--as", "haproxy").out.rstrip().endswith("gt 9 }")
    assert traffik("replay", leap, "--rate", "9/min", "--as", "envoy", "--json").code == 2


def test_a_page_names_the_group_of_each_suggestion(traffik, access_log, tmp_path, unpictured):
    call = ("replay", access_log, "--target-refused", "2% of clients", "--by", "method", "--html", tmp_path / "a.html")
    assert traffik(*call).code == 0
    assert "Limits that were tried for POST" in (tmp_path / "a.html").read_text()
