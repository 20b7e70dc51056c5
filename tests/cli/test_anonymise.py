"""Pseudonyms stand in the place of clients: no address is in any output, and the same key gives the same pseudonyms."""

from __future__ import annotations

import json
import re

import pytest

from traffik_cli.replay.pseudonyms import Pseudonyms

KEY = "a key that nobody else knows"
CLIENTS = ("203.0.113.7", "203.0.113.8", "2001:db8:5:6::1", "2001:db8:5:6::2", "2001:db8:5:7::1")
ADDRESS = re.compile(r"203\.0\.113|2001:db8", re.IGNORECASE)


@pytest.fixture
def log(tmp_path):
    """Three requests of each client within a minute; paths and a broken line hold addresses too."""
    rows = [f"{1_760_054_400 + second},{client},/look/{client}" for second in range(3) for client in CLIENTS]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["time,ip,path", *rows, f"{CLIENTS[0]},{CLIENTS[0]},/", f"0,{CLIENTS[0]}"]) + "\n")
    return path


@pytest.mark.parametrize(
    "how",
    [
        ("--rate", "2/min", "--html", "a.html"),
        ("--rate", "2/min", "--client", CLIENTS[0], "--json"),
        ("--rate", "2/min", "--client", CLIENTS[2]),
        ("--rate", "2/min", "--key", "field:path", "--before", "log.csv", "--ignore", CLIENTS[1]),
        ("--target-refused", "1%", "--by", "path", "--write", "limits.toml"),
    ],
    ids=["page", "json", "client", "two logs", "limits"],
)
def test_no_address_is_in_any_output(how, traffik, log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = traffik("replay", "log.csv", *how, "--anonymise")
    assert said.code == 0
    log.unlink()
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {name: ADDRESS.findall(text) for name, text in {**written, "out": said.out, "err": said.err}.items()} == {
        name: [] for name in (*written, "out", "err")
    }
    assert "client-" in said.out


def worst(said):
    return {each["key"]: each["requests"] for each in json.loads(said.out)["scenarios"][0]["limits"][0]["worst"]}


def test_clients_are_told_apart_as_before_and_a_network_has_one_pseudonym(traffik, log):
    found = worst(traffik("replay", log, "--rate", "2/min", "--anonymise", "--json"))
    assert sorted(found.values()) == [3, 3, 3, 6]  # the two addresses of one /64 are one client


def test_the_same_key_gives_the_same_pseudonyms(traffik, log, monkeypatch):
    call = ("replay", log, "--rate", "2/min", "--json")
    given = worst(traffik(*call, "--anonymise-key", KEY))
    assert {*given} == {*map(Pseudonyms(KEY).of, CLIENTS)}
    assert not {*given} & {*worst(traffik(*call, "--anonymise"))}
    monkeypatch.setenv("TRAFFIK_ANONYMISE_KEY", KEY)
    assert worst(traffik(*call)) == given


def test_a_name_that_is_a_key_is_hashed_in_warnings_and_in_the_command(traffik, tmp_path):
    rows = "".join(f"{1_760_054_400 + second},alice\n" for second in range(30))
    (tmp_path / "log.csv").write_text("time,user\n" + rows)
    call = ("--rate", "2/min", "--key", "field:user", "--client", "alice", "--anonymise-key", KEY)
    said = traffik("replay", tmp_path / "log.csv", *call, "--html", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "all requests have one key, client-" in said.err
    assert not [text for text in (said.out, said.err, page) if "alice" in text]
    assert KEY not in page


def test_an_error_that_quotes_a_line_shows_no_address(traffik, tmp_path):
    (tmp_path / "log").write_text(f"{CLIENTS[0]}\n")
    said = traffik("replay", tmp_path / "log", "--rate", "1/s", "--anonymise")
    assert said.code == 2
    assert not ADDRESS.search(said.err)


@pytest.mark.parametrize(
    "text", ["[2001:db8::1]:443", "at 203.0.113.7.", "/x_203.0.113.7_y", "2001:db8::1%eth0/64", "2001:DB8::"]
)
def test_addresses_are_found_in_any_text(text):
    assert not ADDRESS.search(Pseudonyms(KEY).text(text))


def test_a_short_key_is_refused(traffik, log):
    assert "can be guessed" in traffik("replay", log, "--rate", "1/s", "--anonymise-key", "secret").err
