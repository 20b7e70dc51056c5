"""Every replay says how it read the log, and warns of results that cannot be right."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.test_shapes import LOGS

LINE = '{ip} - - [10/Oct/2025:12:{second:02}:00 +0000] "{asked}" 200 5\n'
POLICY = """
[[throttle]]
uid = "logins"
rate = "5/min"
[[throttle.rule]]
path = "/login"

[[throttle]]
uid = "all"
rate = "100/min"
"""


def lines(*addresses, asked="GET /a HTTP/1.1"):
    return "".join(LINE.format(ip=ip, second=place % 60, asked=asked) for place, ip in enumerate(addresses))


PUBLIC = lines(*(f"203.0.113.{n}" for n in range(30)))
TURNED = "time,ip\n" + "".join(f"2025-10-26 02:{n:02}:00,203.0.113.{n % 7}\n" for n in (*range(60), *range(60)))
JSON = "".join(f'{{"time": {1_760_104_536 + n}, "ip": "user-{n % 5}"}}\n' for n in range(30))

WARNINGS = {
    "nothing-read": ("Oct 10\nwhat?\n" * 20, ("--format", "combined")),
    "malformed": (PUBLIC + "what?\n" * 10, ()),
    "late": (PUBLIC[-200:] + PUBLIC, ("--window", "1min")),
    "no-time": ('203.0.113.7:4 - "GET / HTTP/1.1" 200\n203.0.113.8:4 - "GET / HTTP/1.1" 200\n', ()),
    "one-time": (re.sub(r"12:\d\d:00", "12:00:00", PUBLIC), ()),
    "hour-twice": (TURNED, ("--timezone", "Europe/Berlin")),
    "private-busiest": (PUBLIC + lines(*["10.0.0.1"] * 9), ()),
    "private-part": (PUBLIC + lines(*(f"10.0.0.{n}" for n in range(9))), ()),
    "copies": ("".join(line * 2 for line in PUBLIC.splitlines(keepends=True)), ()),
    "masked-addresses": (re.sub(r"\.(\d+) -", r".\1.0 -", PUBLIC.replace("203.0.", "203.")), ()),
    "forwarded-unused": (PUBLIC.replace(" 200 5", ' 200 5 "-" "curl" "198.51.100.7"'), ()),
    "keyless": (PUBLIC + lines(*"-" * 10), ()),
    "one-key": (lines(*["203.0.113.7"] * 30), ()),
    "no-addresses": (JSON, ()),
    "private-addresses": (lines(*(f"10.0.0.{n}" for n in range(30))), ()),
}


@pytest.mark.parametrize("kind", WARNINGS)
def test_a_result_that_cannot_be_right_causes_a_warning(kind, traffik, tmp_path, unpictured):
    content, options = WARNINGS[kind]
    (tmp_path / "log").write_text(content)
    said = traffik("replay", tmp_path / "log", "--rate", "5/min", "--json", "--html", tmp_path / "a.html", *options)
    (warning,) = json.loads(said.out)["warnings"]
    assert warning["id"] == kind
    assert warning["text"] in said.err
    assert said.err.startswith("traffik: warning: ")
    assert kind in (tmp_path / "a.html").read_text()
    assert said.code == (2 if kind == "nothing-read" else 0)


@pytest.mark.parametrize("kind", ["no-time", "one-time", "hour-twice"])
def test_an_odd_log_can_be_drawn(kind, traffik, tmp_path):
    content, options = WARNINGS[kind]
    (tmp_path / "log").write_text(content)
    assert traffik("replay", tmp_path / "log", "--rate", "5/min", "--plot", tmp_path / "a.png", *options).code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("logs", "copies"), [(["log"] * 3, 3), (["log", "log", "line"], None)])
def test_a_log_given_several_times_is_noticed(logs, copies, traffik, tmp_path):
    (tmp_path / "log").write_text(PUBLIC)
    (tmp_path / "line").write_text(PUBLIC.splitlines(keepends=True)[7])
    said = traffik("replay", *(tmp_path / each for each in logs), "--rate", "5/min").err
    assert re.findall(r"each request stands (\d+) times", said) == ([] if copies is None else [str(copies)])


def test_proxies_that_come_after_many_clients_are_noticed(traffik, tmp_path):
    many = lines(*(f"203.{n >> 8}.{n & 255}.7" for n in range(21_000)))
    (tmp_path / "log").write_text(many + lines(*(f"10.0.0.{n % 30}" for n in range(30_000))))
    (warning,) = json.loads(traffik("replay", tmp_path / "log", "--rate", "5/min", "--json").out)["warnings"]
    assert (warning["id"], "58 % of requests" in warning["text"]) == ("private-part", True)


@pytest.mark.parametrize("absent", ["unknown", "unix:", "(null)"])
def test_what_stands_in_the_place_of_an_address_is_no_client(absent, traffik, tmp_path):
    (tmp_path / "log").write_text(PUBLIC + lines(*[absent] * 3))
    (found,) = json.loads(traffik("replay", tmp_path / "log", "--rate", "1/min", "--json").out)["scenarios"]
    assert (found["clients"], found["limits"][0]["keyless"], found["refused"]) == (30, 3, 0)


def test_a_date_without_a_clock_causes_a_warning(traffik, tmp_path):
    (tmp_path / "log.csv").write_text("date,ip\n" + "".join(f"2025-10-1{n},203.0.113.{n}\n" for n in range(9)))
    said = traffik("replay", tmp_path / "log.csv", "--rate", "5/min")
    assert "such as 2025-10-10, is a date without a clock" in said.err


@pytest.mark.parametrize("span", [("2025-10-26 01:00", "2025-10-26 01:50"), ("2025-10-26 03:10", "2025-10-26 09:00")])
def test_no_hour_comes_twice_in_a_log_of_other_hours(span, traffik, tmp_path):
    (tmp_path / "log.csv").write_text("time,ip\n" + "".join(f"{each}:00,203.0.113.7\n" for each in span))
    said = traffik("replay", tmp_path / "log.csv", "--rate", "5/min", "--timezone", "Europe/Berlin")
    assert (said.code, said.err) == (0, "")


def test_a_client_that_a_proxy_noted_is_not_doubted(traffik, tmp_path):
    (tmp_path / "log").write_text(
        PUBLIC.replace(" 200 5", ' 200 5 "-" "curl" "203.0.113.0, 198.51.100.7"').splitlines()[0]
    )
    assert traffik("replay", tmp_path / "log", "--rate", "5/min").err == ""


def test_lines_of_before_there_was_a_proxy_do_not_hide_it(traffik, tmp_path):
    late = lines(*["10.0.0.1"] * 300).replace(" 200 5", ' 200 5 "-" "curl" "203.0.113.9"')
    (tmp_path / "log").write_text(PUBLIC * 10 + late)
    said = traffik("replay", tmp_path / "log", "--rate", "5/min", "--json")
    assert json.loads(said.out)["scenarios"][0]["clients"] == 30


@pytest.mark.parametrize(
    ("asked", "kind"), [("GET /a HTTP/1.1", "no-match"), ("\\x16\\x03", "no-path"), ("GET /login HTTP/1.1", None)]
)
def test_rules_that_cannot_match_cause_a_warning(asked, kind, traffik, tmp_path):
    (tmp_path / "log").write_text(PUBLIC.replace("GET /a HTTP/1.1", asked))
    (tmp_path / "limits.toml").write_text(POLICY)
    said = traffik("replay", tmp_path / "log", "--policy", tmp_path / "limits.toml", "--json")
    kinds = [warning["id"] for warning in json.loads(said.out)["warnings"]]
    assert kinds == {"no-match": ["no-match"], "no-path": ["no-path", "no-match"], None: []}[kind]


def test_the_advised_window_sorts_all_lines(traffik, tmp_path):
    (tmp_path / "log").write_text(PUBLIC[-200:] + PUBLIC)
    said = traffik("replay", tmp_path / "log", "--rate", "5/min", "--window", "1s")
    window = said.err.partition("--window ")[2].strip()
    mended = traffik("replay", tmp_path / "log", "--rate", "5/min", "--window", window)
    assert (mended.code, mended.err) == (0, "")


@pytest.mark.parametrize("name", ["dashes.log", "german-month.log"])
def test_a_log_without_usable_lines_gives_exit_code_2(name, traffik):
    said = traffik("replay", LOGS / name, "--rate", "10/min")
    assert said.code == 2
    assert "so there is no result" in said.err


def test_a_replay_begins_with_what_it_found_in_the_log(traffik):
    said = traffik("replay", LOGS / "xff-last.log", "--rate", "10/min").out.splitlines()
    assert said[0].endswith("xff-last.log: 60 lines, combined")
    assert said[1].startswith("  client: forwarded, such as 198.51.100.1 (the last address that is not private")
    assert said[2] == "  time: time, such as 2025-10-10 12:00:00 UTC in [10/Oct/2025:12:00:00 +0000]"
    assert said[3:6] == [
        "  path: path, such as /a",
        "keys by ip: all 3 are addresses, 0 requests without a key",
        "lines: 0 malformed, 0 too late",
    ]


@pytest.mark.parametrize(("options", "clients"), [((), 3), (("10.0.0.0/8",), 3), (("1",), 3), (("none",), 1)])
def test_proxies_name_the_client_if_they_are_trusted(options, clients, traffik):
    trusted = [part for text in options for part in ("--trusted-proxies", text)]
    said = traffik("replay", LOGS / "xff-last.log", "--rate", "10/min", "--json", *trusted)
    (found,) = json.loads(said.out)["scenarios"]
    assert found["clients"] == clients


def test_trust_needs_a_field_to_read(traffik):
    said = traffik("replay", LOGS / "caddy.json", "--rate", "10/min", "--trusted-proxies", "10.0.0.0/8")
    assert said.code == 2
    assert "no field holds X-Forwarded-For" in said.err


@pytest.mark.parametrize(
    ("condition", "code"), [("keyless > 10%", 1), ("keyless > 50", 0), ("malformed > 1%", 1), ("late > 0", 0)]
)
def test_conditions_may_be_about_lines_that_were_not_counted(condition, code, traffik, tmp_path):
    (tmp_path / "log").write_text(PUBLIC + lines(*"-" * 10) + "what?\n")
    assert traffik("replay", tmp_path / "log", "--rate", "5/min", "--fail-if", condition).code == code


def test_lines_without_times_get_the_given_interval(traffik):
    log = LOGS / "gunicorn-prefixed.log"
    said = traffik("replay", log, "--rate", "10/min", "--every", "6s", "--json")
    (found,) = json.loads(said.out)["scenarios"]
    assert (found["refused"], found["last"] - found["first"]) == (0, 59 * 6_000_000)


def test_times_without_a_zone_are_in_the_given_zone(traffik, tmp_path):
    (tmp_path / "log.csv").write_text("time,ip\n2025-07-01 14:00:00,192.0.2.1\n2025-12-01 13:00:00Z,192.0.2.1\n")
    said = traffik("replay", tmp_path / "log.csv", "--rate", "1/s", "--timezone", "Europe/Berlin", "--json")
    (found,) = json.loads(said.out)["scenarios"]
    assert (found["first"], found["last"]) == (1_751_371_200_000_000, 1_764_594_000_000_000)
    assert "not a time zone" in traffik("replay", "-", "--rate", "1/s", "--timezone", "Mars").err
