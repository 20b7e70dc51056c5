"""Commands about keys, on a real server."""

from __future__ import annotations

import json

import pytest

from tests.backends.redis.servers import server
from tests.toy import Request
from traffik import Limiter, load_throttles
from traffik.backends.redis import RedisBackend

POLICY = """
[[throttle]]
uid = "file:data"
rate = "10/min"

[[throttle.rule]]
path = "/api/**"
methods = ["GET"]
"""


@pytest.fixture(scope="module")
def redis_server():
    with server() as one:
        yield one


@pytest.fixture
def used(redis_server):
    """A store in which some clients have used quota."""
    redis_server.command("FLUSHALL")
    with RedisBackend(redis_server.url, deadline=2.0, on_error="raise") as store:
        limiter = Limiter("file:data", "10/min", backend=store)
        for client, hits in (("203.0.113.7", 12), ("203.0.113.8", 3), ("user:é", 1)):
            for _ in range(hits):
                limiter.sync.hit(client)
    return ("--store", redis_server.url, "--throttle", "file:data")


RATE = ("--rate", "10/min")


def test_explain_says_which_hits_would_be_admitted(used, traffik):
    facts = json.loads(traffik("explain", *used, *RATE, "--id", "203.0.113.7", "--json").out)
    assert facts["key"] == "traffik:file:data:{203.0.113.7}"
    assert (facts["remaining"], facts["capacity"], facts["rates"]) == (0, 10, ["10/min"])
    assert [fate["allowed"] for fate in facts["costs"].values()] == [False, False, False]
    assert 0 < facts["costs"]["1"]["wait"] < facts["costs"]["10"]["wait"] <= 60_000_000
    assert None is facts["costs"]["100"]["wait"]
    assert 0 < facts["forgotten_in"] <= 61_000_000
    assert facts["state"]


def test_explain_consumes_nothing(used, traffik):
    before, after = (json.loads(traffik("stat", *used, *RATE, "--id", "203.0.113.8", "--json").out) for _ in range(2))
    assert 7 == before["remaining"] == after["remaining"]


def test_a_store_with_a_secret_needs_it(redis_server, traffik, monkeypatch):
    secret = "of sixteen and more bytes"
    monkeypatch.setenv("TRAFFIK_SECRET", secret)
    with RedisBackend(redis_server.url, secret=secret, on_error="raise") as store:
        Limiter("file:sealed", "10/min", backend=store).sync.hit("ada", 3)
        limit = ("--store", redis_server.url, "--throttle", "file:sealed", *RATE)
        facts = json.loads(traffik("stat", *limit, "--id", "ada", "--json").out)
        assert (facts["remaining"], facts["key"]) == (7, store.partition_key("file:sealed", "ada"))


def test_explain_prints_sentences_and_applies_rules(used, traffik, tmp_path):
    (tmp_path / "limits.toml").write_text(POLICY)
    said = traffik("explain", *used, "--policy", tmp_path / "limits.toml", "--id", "203.0.113.8")
    assert (said.code, said.err) == (0, "")
    for words in ("7 of 10", "admitted", "never admitted", "applies to GET /api/**", "traffik:file:data:{203.0.113.8}"):
        assert words in said.out


def test_stat_reads_in_the_unit_and_by_a_tier_of_the_policy(redis_server, traffik, tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text('[[throttle]]\nuid="file:tiers"\n[throttle.tiers]\nfree="20 tokens/min"\n')
    with RedisBackend(redis_server.url, deadline=2.0, on_error="raise") as store:
        load_throttles(path, backend=store, tier=lambda _: "free")["file:tiers"].sync.hit(Request(peer="192.0.2.8"), 3)
    call = ("--store", redis_server.url, "--throttle", "file:tiers", "--policy", path, "--id", "192.0.2.8")
    said = traffik("stat", *call)
    assert said.out == "17 of 20 tokens left\n"
    assert "'file:tiers' has tiers, and its clients are shown as 'free'" in said.err


def test_explain_asks_all_throttles_of_a_file(used, traffik, tmp_path):
    (tmp_path / "limits.toml").write_text(POLICY + '\n[[throttle]]\nuid = "other"\nrate = "5/min"\n')
    call = ("explain", *used[:2], "--policy", tmp_path / "limits.toml", "--id", "203.0.113.8")
    facts = json.loads(traffik(*call, "--json").out)
    assert [(each["throttle"], each["remaining"]) for each in facts] == [("file:data", 7), ("other", 5)]
    assert "other, 203.0.113.8" in traffik(*call).out
    assert "give --throttle" in traffik("explain", *used[:2], *RATE, "--id", "203.0.113.8").err


def test_a_client_that_has_used_nothing_has_its_whole_quota(used, traffik):
    assert "none: a client that has used nothing" in traffik("explain", *used, *RATE, "--id", "203.0.113.9").out


@pytest.mark.parametrize("command", ["explain", "stat"])
def test_a_uid_without_keys_in_the_store_causes_a_warning(command, redis_server, used, traffik):
    said = traffik(command, "--store", redis_server.url, "--throttle", "file:dta", *RATE, "--id", "203.0.113.7")
    assert (said.code, "no key of the throttle 'file:dta': it is unused, or the uid is wrong" in said.err) == (0, True)
    assert "none: a throttle that has used nothing" in said.out or command == "stat"
    assert traffik(command, *used, *RATE, "--id", "203.0.113.99").err == ""


def test_stat_prints_one_line(used, traffik):
    assert traffik("stat", *used, *RATE, "--id", "203.0.113.8").out == "7 of 10 left\n"
    assert traffik("stat", *used, *RATE, "--id", "203.0.113.7").out.startswith("0 of 10 left; the next in ")


def test_top_shows_the_keys_with_the_least_left_first(used, traffik):
    found = json.loads(traffik("top", *used, *RATE, "--json").out)
    assert (found["complete"], found["keys"]) == (True, 3)
    assert [(w["key"], w["remaining"]) for w in found["worst"]] == [
        ("203.0.113.7", 0),
        ("203.0.113.8", 7),
        ("user:é", 9),
    ]
    assert "203.0.113.7" in traffik("top", *used, *RATE).out


def test_top_says_if_it_has_not_seen_all_keys(used, traffik):
    assert "and there are more: raise --most" in traffik("top", *used, *RATE, "--most", "1").out


def test_reset_forgets_one_key_or_all(used, traffik):
    assert traffik("reset", *used, "--id", "203.0.113.7").out == "forgotten\n"
    assert traffik("stat", *used, *RATE, "--id", "203.0.113.7").out == "10 of 10 left\n"
    assert traffik("stat", *used, *RATE, "--id", "203.0.113.8").out == "7 of 10 left\n"
    assert traffik("reset", *used, "--yes").out == "forgotten\n"
    assert traffik("stat", *used, *RATE, "--id", "203.0.113.8").out == "10 of 10 left\n"


HEADER = """
[[throttle]]
uid = "file:keyed"
rate = "10/min"
key = "header:X-Api-Key"
"""


def test_reset_finds_a_key_by_header_with_the_file(redis_server, traffik, tmp_path):
    (tmp_path / "limits.toml").write_text(HEADER)
    about = ("--store", redis_server.url, "--throttle", "file:keyed", "--id", "alice")
    policy = ("--policy", tmp_path / "limits.toml")
    with RedisBackend(redis_server.url, deadline=2.0, on_error="raise") as store:
        Limiter("file:keyed", "10/min", backend=store).sync.hit("header:x-api-key:alice", 4)
    assert traffik("reset", *about).out.startswith("nothing to forget: the store holds nothing for alice; if its")
    assert traffik("stat", *about, *policy).out == "6 of 10 left\n"
    assert traffik("reset", *about, *policy).out == "forgotten\n"
    assert traffik("stat", *about, *policy).out == "10 of 10 left\n"
    said = "nothing to forget: the store holds nothing for header:x-api-key:alice\n"
    assert traffik("reset", *about, *policy).out == said


@pytest.mark.parametrize("identity", ["2001:db8::9", "2001:db8::/64"])
def test_an_identity_is_looked_up_as_given_and_then_as_a_network(identity, redis_server, traffik):
    redis_server.command("FLUSHALL")
    about = ("--store", redis_server.url, "--throttle", "file:either", "--id", "2001:db8::9")
    with RedisBackend(redis_server.url, deadline=2.0, on_error="raise") as store:
        Limiter("file:either", "10/min", backend=store).sync.hit(identity, 4)
    assert json.loads(traffik("explain", *about, *RATE, "--json").out)["key"].endswith(f"{{{identity}}}")
    assert traffik("stat", *about, *RATE).out == "6 of 10 left\n"
    assert traffik("reset", *about).out == "forgotten\n"
    assert traffik("stat", *about, *RATE).out == "10 of 10 left\n"


def test_reset_of_all_keys_asks_first(used, shell):
    said = shell("reset", *used, given=b"n\n")
    assert said.code == 130
    assert "Forget what every client of file:data has used?" in said.err


def test_a_throttle_missing_in_the_file_is_an_error(used, traffik, tmp_path):
    (tmp_path / "limits.toml").write_text(POLICY.replace("file:data", "other"))
    said = traffik("stat", *used, "--policy", tmp_path / "limits.toml", "--id", "x")
    assert "describes no throttle 'file:data'; there are other" in said.err


def test_an_unavailable_store_is_an_error(traffik):
    said = traffik("stat", "--store", "redis://127.0.0.1:1", "--throttle", "a", "--id", "b", *RATE)
    assert said.code == 2
    assert said.err.startswith("traffik: ")
