"""Two logs under one limit: what has changed from the first to the second, in tables, JSON, a page and an exit code."""

from __future__ import annotations

import json
import re

import pytest


@pytest.fixture
def logs(tmp_path):
    """Yesterday one client made 4 requests in a minute; today it makes 6 and another one makes 2."""
    for name, hits in {"before.csv": [(4, "192.0.2.1")], "after.csv": [(6, "192.0.2.1"), (2, "192.0.2.2")]}.items():
        rows = [f"{1_760_054_400 + second},{client},/a\n" for count, client in hits for second in range(count)]
        (tmp_path / name).write_text("time,ip,path\n" + "".join(sorted(rows)))
    return tmp_path / "after.csv", "--before", tmp_path / "before.csv"


def changes(said):
    (drift,) = json.loads(said.out)["drifts"]
    return {each["name"]: (each["before"], each["after"], each["change"]) for each in drift["changes"]}


def test_every_number_is_there_before_and_after(traffik, logs):
    found = changes(traffik("replay", *logs, "--rate", "5/min", "--json"))
    assert found["requests"] == (4, 8, 1.0)
    assert found["clients"] == (1, 2, 1.0)
    assert found["refused"] == (0, 0.125, None)
    assert (found["p50"], found["most"]) == ((4, 2, -0.5), (4, 6, 0.5))


def test_the_tables_and_the_page_show_them(traffik, logs, tmp_path):
    said = traffik("replay", *logs, "--rate", "5/min", "--html", tmp_path / "a.html")
    assert re.search(r"requests +│ 4 +│ 8 +│ \+100.0 %", said.out)
    assert re.search(r"refused +│ 0 % +│ 12.5 % +│ new", said.out)
    assert "What has changed for 5/min" in (tmp_path / "a.html").read_text()


def test_a_throttle_is_compared_on_the_requests_that_its_rules_match(traffik, logs, tmp_path):
    rule = '\n[[throttle.rule]]\npath = "/{}"\n'
    limits = "".join(f'[[throttle]]\nuid = "{uid}"\nrate = "5/min"{rule.format(uid)}' for uid in "ab")
    (tmp_path / "limits.toml").write_text(limits)
    said = json.loads(traffik("replay", *logs, "--policy", tmp_path / "limits.toml", "--json").out)
    most = {each["uid"]: [change["after"] for change in each["changes"]] for each in said["drifts"]}
    assert most["a"][0] == 8
    assert most["b"] == [0, 0, 0, 0]  # no client, so no percentiles


@pytest.mark.parametrize(
    ("text", "code"),
    [("drift > 10%", 1), ("drift of p50 > 50%", 0), ("drift of p50 >= 50%", 1), ("drift of refused > 900%", 1)],
)
def test_a_pipeline_sees_drift(text, code, traffik, logs):
    assert traffik("replay", *logs, "--rate", "5/min", "--fail-if", text).code == code


def test_the_same_log_has_not_drifted(traffik, logs):
    assert traffik("replay", logs[0], "--before", logs[0], "--rate", "5/min", "--fail-if", "drift > 0%").code == 0


def test_nothing_can_be_compared_with_an_empty_log(traffik, logs):
    logs[2].write_text("")
    assert traffik("replay", *logs, "--rate", "5/min", "--fail-if", "drift of p99 > 1000000%").code == 1
    assert traffik("replay", *logs, "--rate", "5/min").code == 2


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (("--target-refused", "1%", "--before", "old.log"), "--before compares two logs under a limit"),
        (("--rate", "5/min", "--fail-if", "drift > 10%"), "name that with --before"),
        (("--rate", "5/min", "--fail-if", "drift > 10"), "drift is a percentage"),
        (("--rate", "5/min", "--fail-if", "refused of p99 > 10%"), "only drift is that of a number"),
        (("--rate", "5/min", "--compare", __file__), "for another log, give --before"),
        (("--rate", "5/min", "--before", "-"), "standard input can be read only once"),
    ],
)
def test_mistakes_are_said(call, why, traffik):
    said = traffik("replay", "-", *call)
    assert said.code == 2
    assert why in said.err
