"""The demo, run as a user runs it, and its checks."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from examples import demo

FILE = Path(demo.__file__)


def test_it_ends_by_itself_without_failures():
    began = time.monotonic()
    done = run({**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 20
    assert "As promised" in done.stdout
    assert 'pip install "traffik-core[starlette]"' in done.stdout


def run(environment):
    command = [sys.executable, FILE]
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", timeout=30, env=environment)


def test_the_program_it_prints_works():
    namespace = {}
    exec(demo.PROGRAM, namespace)
    with TestClient(namespace["app"]) as client:
        assert [client.get("/quotes").status_code for _ in range(101)] == [200] * 100 + [429]


def client(name, admitted, refused, *waits):
    return demo.Client(
        name, "", demo.deaf, answers=[True] * admitted + [False] * refused, waits=list(waits), policy='"q";q=10;w=2'
    )


GOOD = [client("ada", 24, 0), client("bob", 24, 40, True), client("eve", 29, 200, True)]


def test_good_clients_cause_no_failure():
    assert demo.broken_promises(GOOD, 6.1) == []


@pytest.mark.parametrize(
    ("place", "bad", "complaint"),
    [
        (0, client("ada", 23, 1), "ada kept within the limit and was refused"),
        (1, client("bob", 24, 0, True), "bob went over the limit and was not refused"),
        (1, client("bob", 24, 9, True, False), "bob waited as told and was refused again"),
        (2, client("eve", 29, 9), "eve waited as told and was refused again"),
        (2, client("eve", 51, 9, True), "eve got 51 requests"),
    ],
)
def test_wrong_responses_are_reported_as_failures(place, bad, complaint):
    clients = [*GOOD[:place], bad, *GOOD[place + 1 :]]
    (told,) = demo.broken_promises(clients, 6.1)
    assert told.startswith(complaint)
