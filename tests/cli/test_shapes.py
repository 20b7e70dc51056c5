"""The same sixty requests in the log formats of servers and collectors give the same result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

LOGS = Path(__file__).parent / "replay" / "logs"
ROWS = [line.split("\t") for line in (LOGS / "expected.tsv").read_text().splitlines() if not line.startswith("#")]
EXPECTED = {call: tuple(map(int, counts)) for call, *counts in ROWS}


def counts(traffik, name, *more):
    said = traffik("replay", LOGS / name, *(more or ("--rate", "10/min")), "--json")
    (found,) = json.loads(said.out)["scenarios"]
    return found["clients"], found["refused"], found["touched"]


@pytest.mark.parametrize("call", EXPECTED)
def test_every_format_gives_the_same_result(call, traffik):
    assert counts(traffik, *call.split(" ")) == EXPECTED[call]


PARALLEL = [
    ("docker-json-file.log",),
    ("date-time.csv", "--timezone", "Europe/Berlin"),
    ("xff-last.log", "--trusted-proxies", "10.0.0.0/8"),
    ("iis.log",),
    ("gunicorn-prefixed.log", "--every", "1s"),
]


@pytest.mark.parametrize("call", PARALLEL, ids=" ".join)
def test_every_reader_works_in_another_process(call, traffik):
    log, *options = call
    assert counts(traffik, log, "--rate", "10/min", *options, "--jobs", "2") == (3, 30, 3)


NAMED = [("clf.log", "common"), ("iis.log", "iis"), ("ecs.json", "ecs"), ("alb.log", "alb"), ("heroku.log", "heroku")]


@pytest.mark.parametrize(("log", "form"), NAMED)
def test_a_format_can_be_named(log, form, traffik):
    assert counts(traffik, log, "--rate", "10/min", "--format", form) == (3, 30, 3)


def test_messages_of_a_starting_server_are_skipped(traffik, tmp_path):
    (tmp_path / "log").write_text("INFO: starting worker\n" * 1_000 + (LOGS / "caddy.json").read_text())
    assert counts(traffik, tmp_path / "log", "--rate", "10/min") == (3, 30, 3)


def test_options_that_exclude_each_other_are_an_error(traffik):
    said = traffik("replay", LOGS / "clf.log", "--rate", "1/s", "--format", "json", "--pattern", "(?P<ip>.)")
    assert said.code == 2
    assert "give one of them" in said.err
