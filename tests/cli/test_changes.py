"""The commands about the rates of a fleet."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from traffik import Limiter
from traffik.backends.lmdb import LMDBBackend

PATIENCE = 10


@pytest.fixture
def limiter(tmp_path):
    """A limiter of an application that runs."""
    with LMDBBackend(tmp_path / "quota", create=True, on_error="raise", changes_within=0.02) as store:
        yield Limiter("api", "100/min", backend=store)


@pytest.fixture
def call(limiter, process):
    """Calls the command in another process."""
    url = f"lmdb://{quote(str(limiter.backend.directory))}"
    return lambda *arguments: process(*arguments, TRAFFIK_STORE=url, USER="", LOGNAME="ada")


def wait_for(limiter, limit):
    end = time.monotonic() + PATIENCE
    while limiter.sync.stat("bob").hits_remaining != limit:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_change_is_followed_listed_and_withdrawn(call, limiter):
    assert call("change", "api", "200/min", "--reason", "sale").out == "change 1: api: 200/min\n"
    wait_for(limiter, 200)
    back = call("change", "api", "--withdraw", "--by", "ops")
    assert back.out == "change 2: api: the rate of the application instead of 200/min\n"
    listed = json.loads(call("changes", "--json").out)
    assert [(each["version"], each["rate"], each["by"], each["reason"]) for each in listed] == [
        (2, None, "ops", ""),
        (1, "200/min", "ada", "sale"),
    ]
    assert call("changes", "--throttle", "api").out.startswith("2 changes")


def test_the_other_commands_show_the_rate_in_force(call, limiter):
    limiter.sync.hit("ada", 5)
    call("change", "api", "6/min")
    about = ("--throttle", "api", "--rate", "100/min")
    said = call("stat", *about, "--id", "ada")
    assert said.out == "1 of 6 left\n"
    assert "traffik: 'api' has the rate 6/min, by change 1" in said.err
    explained = json.loads(call("explain", *about, "--id", "ada", "--json").out)
    assert (explained["rates"], explained["costs"]["10"]["allowed"]) == (["6/min"], False)
    assert json.loads(call("top", *about, "--json").out)["worst"][0]["remaining"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["api"], "give either a rate"),
        (["api", "5/min", "--withdraw"], "give either a rate"),
        (["api", "5/parsec"], "'parsec' is not a unit of time"),
        (["", "5/min"], "a uid has 1 to 128 characters"),
    ],
)
def test_a_mistake_is_found_before_the_store_is_opened(traffik, arguments, words):
    said = traffik("change", *arguments, "--store", "lmdb:///no/such/directory")
    assert (said.code, said.out) == (2, "")
    assert words in said.err
