"""The demo, run as a user runs it, and its checks."""

import io
import os
import subprocess
import sys
import time

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from examples.demo import __main__ as demo
from examples.demo import attacks, clients, habits, refusal, waits
from tests.docs.pages import ROOT


def test_it_ends_by_itself_without_failures():
    command = [sys.executable, "-m", "examples.demo"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}
    done = subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", timeout=110, cwd=ROOT, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "As promised" in done.stdout
    for shown in ("HTTP/1.1 429", "ratelimit-policy", "admitted: 0 of 20", "admitted: 20 of 20", "(kill -9)"):
        assert shown in done.stdout


def test_the_program_it_prints_works():
    namespace = {}
    exec(demo.PROGRAM, namespace)
    with TestClient(namespace["app"]) as client:
        assert [client.get("/quotes").status_code for _ in range(101)] == [200] * 100 + [429]


def test_it_can_leave_the_service_running(monkeypatch):
    monkeypatch.setattr(time, "sleep", interrupt)
    console = Console(file=io.StringIO(), width=60)
    demo.keep("http://127.0.0.1:1234", console)
    assert 'curl -i -H "X-API-Key: eve-key" http://127.0.0.1:1234/quotes\n' in console.file.getvalue()


def interrupt(seconds):
    raise KeyboardInterrupt


def test_what_a_client_gets_can_be_predicted():
    assert [habits.predicted(habit(), "10/2s") for habit in (habits.steady, habits.in_bursts, habits.deaf)] == [
        22,
        10 + 1 + 9 + 1 + 9 + 1,
        3 * 10 + 1,
    ]


def client(name, admitted, refused, *waits, predicted=None):
    answers = [clients.Answer(6, True)] * admitted + [clients.Answer(6, False)] * refused
    expected = admitted if predicted is None else predicted
    habit = habits.deaf if name == "eve" else habits.steady
    return clients.Client(
        name, "", habit, answers=answers, waits=list(waits), predicted=expected, policy='"q";q=10;w=2'
    )


GOOD = [client("ada", 24, 0), client("bob", 24, 40, True), client("eve", 29, 200, True, predicted=30)]


def test_good_clients_cause_no_failure():
    assert clients.broken_by(GOOD) == []


@pytest.mark.parametrize(
    ("place", "bad", "complaint"),
    [
        (0, client("ada", 23, 1), "ada kept within the limit and was refused"),
        (1, client("bob", 24, 0, True), "bob went over the limit and was not refused"),
        (1, client("bob", 24, 9, True, False), "bob waited as told and was refused again"),
        (1, client("bob", 23, 9, True, predicted=24), "bob got 23 requests, and 24 were predicted"),
        (2, client("eve", 29, 9), "eve waited as told and was refused again"),
        (2, client("eve", 31, 9, True, predicted=30), "eve got 31 requests, and 30 were predicted"),
        (2, client("eve", 51, 9, True), "eve got 51 requests, more than"),
    ],
)
def test_wrong_responses_are_reported_as_failures(place, bad, complaint):
    (told,) = clients.broken_by([*GOOD[:place], bad, *GOOD[place + 1 :]])
    assert told.startswith(complaint)


def test_a_timeline_has_a_dot_for_each_eighth_of_a_second():
    answers = [clients.Answer(*each) for each in ((0.1, True), (0.3, True), (0.31, False), (0.6, False))]
    assert clients.timeline(answers, 5).plain == "●·◐·○"


def test_wrong_waits_and_attacks_that_gain_are_reported_as_failures():
    assert waits.broken_by([waits.Return(early=True, on_time=False)]) == [
        "1 of 1 were admitted 1 ms early",
        "1 of 1 were refused on time",
    ]
    assert attacks.broken_by([attacks.Attack("forged", 13, 40)]) == ["forged: 13 admitted, not 12"]


def test_the_edge_of_a_minute_gains_nothing_but_from_the_naive_limiter():
    attack = attacks.edge_of_a_minute()
    assert (attack.traffik, attack.naive) == (12, 23)


def test_the_refusal_is_shown_below_the_command():
    console = Console(file=io.StringIO(), width=80)
    console.print(refusal.shown("HTTP/1.1 429\r\nRetry-After: 2\r\n\r\nTwo.", "http://127.0.0.1:1234"))
    lines = [line.strip("│ ") for line in console.file.getvalue().splitlines()]
    assert lines[1:-1] == [f"$ {refusal.curl('http://127.0.0.1:1234')}", "HTTP/1.1 429", "Retry-After: 2", "", "Two."]
