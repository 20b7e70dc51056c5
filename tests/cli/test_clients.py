"""`traffik replay --client`: the decisions about one client, and a message to send it."""

from __future__ import annotations

import json

import pytest

POLICY = """
[[throttle]]
uid = "everything"
rate = "10/min"

[[throttle]]
uid = "logins"
rate = "2/min"

[[throttle.rule]]
path = "/login"
"""


def line(client, minute, second, request="GET /"):
    return f'{client} - - [10/Oct/2025:12:{minute:02}:{second:02} +0000] "{request} HTTP/1.1" 200 5\n'


@pytest.fixture
def log(tmp_path):
    """Five logins of one client within a minute, a page in the next; another client between them."""
    lines = [line("203.0.113.7", 0, second, "POST /login") + line("192.0.2.1", 0, second) for second in range(5)]
    lines.append(line("203.0.113.7", 2, 0) + line("2001:db8::1", 2, 0) + line("2001:db8::2", 2, 1))
    (tmp_path / "access.log").write_text("".join(lines))
    (tmp_path / "limits.toml").write_text(POLICY)
    return tmp_path / "access.log"


def followed(traffik, log, client, *how):
    said = traffik("replay", log, *(how or ("--policy", log.with_name("limits.toml"))), "--client", client, "--json")
    assert said.code == 0
    document = json.loads(said.out)
    return document["client"] | {"sentence": document["sentence"]}


def test_the_minutes_and_paths_of_a_client_are_shown(traffik, log):
    found = followed(traffik, log, "203.0.113.7")
    assert (found["requests"], found["refused"]) == (6, 3)
    assert [(each["requests"], each["refused"]) for each in found["minutes"]] == [(5, 3), (1, 0)]
    assert [(each["request"], each["refused"]) for each in found["paths"]] == [("POST /login", 3), ("GET /", 0)]


def test_the_refusals_of_a_client_are_shown_with_their_waits(traffik, log):
    found = followed(traffik, log, "203.0.113.7")
    assert {(each["throttle"], each["rate"], each["request"]) for each in found["refusals"]} == {
        ("logins", "2/min", "POST /login")
    }
    assert [each["wait"] for each in found["refusals"]] == sorted(
        (each["wait"] for each in found["refusals"]), reverse=True
    )
    assert found["longest"] == found["refusals"][0]["wait"] <= 60_000_000


def test_the_message_to_the_client_is_shown(traffik, log):
    said = traffik("replay", log, "--rate", "2/min", "--client", "203.0.113.7").out
    assert (
        "203.0.113.7 sent 6 requests from 2025-10-10 12:00:00 to 2025-10-10 12:02:00 UTC, 5 of them in the minute from "
        "12:00. 3 (50.0 %) are refused with 429 Too Many Requests, the first at 2025-10-10 12:00:02 by the limit of "
        "2/min, 3 of them POST /login." in said
    )
    assert "192.0.2.1" not in said.partition("Busiest minutes")[2]


def test_an_ipv6_address_stands_for_its_network(traffik, log):
    assert followed(traffik, log, "2001:db8::7", "--rate", "1/min")["refused"] == 1


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        ("192.0.2.1", "None of them is refused under this limit."),
        ("192.0.2.99", "No request of 192.0.2.99 is in the log."),
    ],
)
def test_a_client_without_refusals_or_requests_is_described(client, sentence, traffik, log):
    assert followed(traffik, log, client)["sentence"].endswith(sentence)


def test_a_cost_above_the_capacity_is_never_admitted(traffik, log):
    found = followed(traffik, log, "192.0.2.1", "--rate", "2/min", "--cost", "3")
    assert found["longest"] is None
    assert found["sentence"].endswith("They cost more than the limit and are never admitted.")


def test_a_client_by_header_is_given_by_the_value(traffik, tmp_path):
    rows = [{"ts": 1_760_054_400 + at, "ip": "192.0.2.1", "headers": {"X-Key": "ada"}} for at in range(3)]
    (tmp_path / "log").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert followed(traffik, tmp_path / "log", "ada", "--rate", "1/min", "--key", "header:X-Key")["refused"] == 2


def test_a_client_needs_a_limit(traffik, log):
    said = traffik("replay", log, "--target-refused", "1%", "--client", "192.0.2.1")
    assert (said.code, "give --rate" in said.err) == (2, True)
