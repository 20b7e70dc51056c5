"""`traffik replay` from end to end: it reads files, and writes tables, JSON and pictures."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma

import pytest
import zstandard

from traffik_cli.replay.synthetic import SCRAPER

POLICY = """
[[throttle]]
uid = "everything"
rate = "60/min"

[[throttle]]
uid = "logins"
rate = "3/min"

[[throttle.rule]]
path = "/login"
methods = ["POST"]
"""


def scenarios(said):
    """A report without its duration and the names of the logs."""
    assert said.code == 0
    assert json.loads(said.out)["warnings"] == []
    return json.loads(said.out)["scenarios"]


@pytest.fixture(scope="module")
def tried(access_log):
    return ("--rate", "60/min", "--json", access_log)


@pytest.fixture(scope="module")
def whole(called, tried):
    """The scenarios of the whole log."""
    return scenarios(called("replay", *tried))


def test_a_table_shows_the_clients_that_would_have_been_refused(traffik, access_log):
    said = traffik("replay", access_log, "--rate", "60/min")
    assert (said.code, said.err) == (0, "")
    assert SCRAPER in said.out
    assert "3,684" in said.out


def test_json_has_the_same_numbers(whole):
    (found,) = whole
    assert (found["name"], found["refused"], found["limits"][0]["worst"][0]["key"]) == ("60/min", 3_684, SCRAPER)


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress, lambda data: data]
)
def test_compressed_logs_give_the_same_report(compress, traffik, tried, whole, access_log, tmp_path):
    (tmp_path / "log").write_bytes(compress(access_log.read_bytes()))
    assert scenarios(traffik("replay", *tried[:-1], tmp_path / "log")) == whole


def test_parts_of_a_log_in_any_order_give_the_report_of_the_whole(traffik, tried, whole, access_log, tmp_path):
    lines = access_log.read_bytes().splitlines(keepends=True)
    (tmp_path / "odd").write_bytes(b"".join(lines[::2]))
    (tmp_path / "even.gz").write_bytes(gzip.compress(b"".join(lines[1::2])))
    split = traffik("replay", *tried[:-1], tmp_path / "even.gz", tmp_path / "odd")
    (found,) = scenarios(split)
    # Within a second the order of two files is arbitrary, so other requests may be refused, but the same number.
    assert [(found["requests"], found["refused"])] == [(each["requests"], each["refused"]) for each in whole]


def test_a_log_on_standard_input_can_be_read_twice(shell, access_log, tried, whole):
    said = shell("replay", "-", *tried[:-1], "--target-refused", "1% of clients", given=access_log.read_bytes())
    assert scenarios(said)[:1] == whole
    (suggested,) = json.loads(said.out)["suggestions"]
    assert sorted({each["met"] for each in suggested["tried"]}) == [False, True]


def test_several_processes_give_the_same_report(traffik, tried, access_log, tmp_path):
    log = access_log.read_bytes()
    (tmp_path / "twice").write_bytes(b"".join([log, b"what?\n", log.replace(b"10/Oct", b"11/Oct")]))
    one, three = (traffik("replay", *tried[:-1], tmp_path / "twice", "--jobs", jobs) for jobs in (1, 3))
    assert scenarios(one) == scenarios(three)
    assert json.loads(one.out)["logs"] == json.loads(three.out)["logs"]
    lines = access_log.read_bytes().count(b"\n")
    assert [shown["line"] for shown in json.loads(three.out)["logs"][0]["shown"]] == [lines + 1]


def test_a_second_rate_is_compared(traffik, tried):
    first, second = scenarios(traffik("replay", *tried, "--compare", "30/min"))
    assert (first["name"], second["name"]) == ("60/min", "30/min")
    assert first["refused"] < second["refused"]


def test_a_policy_with_tiers_is_tried_with_the_default_one(traffik, access_log, tmp_path):
    path, tiers = tmp_path / "limits.toml", 'default_tier = "free"\n[throttle.tiers]\npro = "9/s"\nfree = "60/min"\n'
    path.write_text(f'[[throttle]]\nuid = "all"\n{tiers}')
    said = traffik("replay", access_log, "--policy", path, "--compare", "60/min", "--json")
    first, second = scenarios(said)
    assert first["refused"] == second["refused"]
    assert f"{path}: 'all' has tiers, and all clients are tried as 'free'" in said.err


def test_files_of_limits_are_tried_and_compared(traffik, access_log, tmp_path):
    (tmp_path / "limits.toml").write_text(POLICY)
    call = ("replay", access_log, "--policy", tmp_path / "limits.toml", "--compare", "60/min")
    policy, rate = scenarios(traffik(*call, "--json"))
    assert [limit["uid"] for limit in policy["limits"]] == ["everything", "logins"]
    assert policy["limits"][0]["refused"] == rate["refused"] < policy["refused"]
    assert "By throttle" in traffik(*call).out


def test_the_suggestion_meets_the_target_and_the_next_lower_limit_does_not(traffik, access_log):
    said = traffik("replay", access_log, "--target-refused", "5%", "--json")
    (found,) = json.loads(said.out)["suggestions"]
    met = [each["met"] for each in found["tried"]]
    place = met.index(True)
    assert found["tried"][place]["rate"] == found["rate"]
    assert found["tried"][place]["refused"] <= 0.05 < found["tried"][place - 1]["refused"]
    (again,) = scenarios(traffik("replay", access_log, "--rate", found["rate"], "--json"))
    assert again["refused"] / again["requests"] == pytest.approx(found["tried"][place]["refused"])
    assert f"Suggested: {found['rate']}" in traffik("replay", access_log, "--target-refused", "5%").out


@pytest.mark.parametrize(("requests", "met"), [(10_500, True), (20_000, False)])
def test_no_limit_is_tried_that_the_strategy_cannot_count(requests, met, traffik, tmp_path):
    (tmp_path / "log").write_bytes(b'1.2.3.4 - - [10/Oct/2025:00:00:00 +0000] "GET / HTTP/1.1" 200 1\n' * requests)
    how = ("--rate", "9/min", "--strategy", "sliding-log", "--target-refused", "10%")
    said = traffik("replay", tmp_path / "log", *how)
    assert said.code == 0
    assert met == ("Suggested: " in said.out) != ("No limit that was tried refuses at most" in said.out)
    assert ("9450/min" if met else "10000/min") in said.out


@pytest.mark.parametrize(("condition", "code"), [("refused > 1%", 1), ("refused > 60%", 0)])
def test_a_condition_that_is_true_sets_the_exit_code(condition, code, traffik, access_log):
    said = traffik("replay", access_log, "--rate", "60/min", "--fail-if", condition)
    assert (code, f"traffik: failed: {condition}\n" if code else "") == (said.code, said.err)


@pytest.mark.parametrize(("condition", "code"), [("refused > 1%", 2), ("requests < 1", 1)])
def test_no_condition_is_true_for_an_empty_log(condition, code, traffik, tmp_path):
    (tmp_path / "log").write_bytes(b"")
    said = traffik("replay", tmp_path / "log", "--rate", "60/min", "--fail-if", condition)
    assert said.code == code
    assert "no request was read" in said.err or code == 1
    assert traffik("replay", tmp_path / "log", "--rate", "60/min").code == 2


def test_malformed_lines_are_shown_by_number(traffik, tmp_path):
    (tmp_path / "log").write_bytes(b'1.2.3.4 - - [10/Oct/2025:00:00:00 +0000] "GET / HTTP/1.1" 200 1\n[red]?[/]\n' * 11)
    said = traffik("replay", tmp_path / "log", "--rate", "1/s")
    assert "11 malformed lines" in said.out
    assert f"{tmp_path / 'log'}:2: no host" in said.out.replace("\n", "")
    assert "and 1 more" in said.out


@pytest.mark.parametrize("size", [1 << 21, 20_000_000])
def test_a_long_line_counts_as_one_line(size, traffik, tmp_path):
    good = b'1.2.3.4 - - [10/Oct/2025:00:00:00 +0000] "GET / HTTP/1.1" 200 1\n'
    (tmp_path / "log").write_bytes(good + b"x" * size + b"\n" + good + b"what?\n")
    (log,) = json.loads(traffik("replay", tmp_path / "log", "--rate", "1/s", "--json").out)["logs"]
    assert (log["lines"], log["malformed"], [bad["line"] for bad in log["shown"]]) == (4, 2, [2, 4])


def test_the_first_record_may_be_large(traffik, tmp_path):
    record = {"time": 1_760_104_536, "ip": "192.0.2.1", "more": "x" * 100_000}
    (tmp_path / "log").write_text(f"{json.dumps(record)}\n" * 2)
    (log,) = json.loads(traffik("replay", tmp_path / "log", "--rate", "1/s", "--json").out)["logs"]
    assert (log["detected"]["format"], log["lines"], log["malformed"]) == ("json", 2, 0)


def test_late_lines_are_reported(traffik, access_log, tmp_path):
    lines = access_log.read_bytes().splitlines(keepends=True)
    (tmp_path / "log").write_bytes(b"".join(lines[1000:] + lines[:1]))
    assert "1 of them came too late" in traffik("replay", tmp_path / "log", "--rate", "1/s").out


def test_synthetic_traffic_needs_no_file(traffik):
    (found,) = scenarios(traffik("replay", "--synthetic", "hours=1,requests=50,storm=0", "--rate", "5/min", "--json"))
    assert 0 < found["requests"] < 200


def test_the_key_may_be_another_field(traffik, tmp_path):
    rows = "".join(f"{second},{user}\n" for second in range(30) for user in ("ada", "bob", "ada"))
    (tmp_path / "log.csv").write_text("time,user\n" + rows)
    call = ("replay", tmp_path / "log.csv", "--rate", "50/min", "--key", "field:user")
    (found,) = scenarios(traffik(*call, "--json"))
    assert [each["key"] for each in found["limits"][0]["worst"]] == ["ada"]


def test_control_characters_of_clients_are_not_printed(traffik, tmp_path):
    row = json.dumps({"time": 1_760_054_400, "user": "\x1b]0;taken\x07[red]"})
    (tmp_path / "log").write_text(f"{row}\n{row}\n" + json.dumps({"time": "\x1b[2J"}))
    said = traffik("replay", tmp_path / "log", "--rate", "1/min", "--key", "field:user")
    assert "\x1b" not in said.out
    assert "\\x1b]0;taken\\x07[red]" in said.out


def test_a_log_without_readable_lines_is_reported(traffik, tmp_path):
    (tmp_path / "log").write_text("what?\n")
    said = traffik("replay", tmp_path / "log", "--rate", "1/min", "--format", "combined", "--html", tmp_path / "a.html")
    assert said.code == 2
    assert "1 malformed lines" in said.out
    assert "1970" not in said.out
    assert "The log holds no request." in (tmp_path / "a.html").read_text()


def test_concatenated_logs_on_standard_input_are_merged(shell, traffik, tried, access_log):
    lines = access_log.read_bytes().splitlines(keepends=True)
    mixed = b"".join(line for part in (lines[2000:], lines[1000:2000], lines[:1000]) for line in part)
    how = (*tried[:-1], "--target-refused", "1% of clients")
    said, whole = shell("replay", "-", *how, "--window", "1min", given=mixed), traffik("replay", *how, access_log)
    assert scenarios(said) == scenarios(whole)
    assert json.loads(said.out)["suggestions"] == json.loads(whole.out)["suggestions"]
    assert json.loads(said.out)["logs"][0]["lines"] == len(lines)
