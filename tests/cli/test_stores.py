"""Stores by URL: commands on the files of LMDB, and invalid URLs."""

from __future__ import annotations

import gc
import json
import os
import sys
from urllib.parse import quote

import pytest

from traffik import Limiter
from traffik.backends.base import Charge
from traffik.backends.lmdb import LMDBBackend, paths
from traffik.model.errors import ConfigurationError
from traffik.model.keys import local_key
from traffik_cli.commands.stores import open_store
from traffik_cli.replay.trials import trial_of

RATE = ("--rate", "10/min")


def use(path):
    """Use some quota as an application does, and close its files in this process."""
    with LMDBBackend(path, on_error="raise") as store:
        limiter = Limiter("filed:data", "10/min", backend=store)
        for client, hits in (("203.0.113.7", 12), ("203.0.113.8", 3), ("user:é", 1)):
            for _ in range(hits):
                limiter.sync.hit(client)
    del store, limiter
    gc.collect()


def url_of(path):
    return f"lmdb://{quote(str(path))}"


@pytest.fixture
def used(tmp_path):
    use(tmp_path / "quo ta")
    return ("--store", url_of(tmp_path / "quo ta"), "--throttle", "filed:data")


def test_explain_shows_the_stored_state_and_which_hits_would_be_admitted(used, traffik):
    facts = json.loads(traffik("explain", *used, *RATE, "--id", "203.0.113.7", "--json").out)
    assert facts["key"] == "traffik:filed:data:{203.0.113.7}"
    assert (facts["remaining"], facts["capacity"]) == (0, 10)
    assert [fate["allowed"] for fate in facts["costs"].values()] == [False, False, False]
    assert 0 < facts["forgotten_in"] <= 121_000_000
    assert bytes.fromhex(facts["state"])


def test_a_client_that_has_used_nothing_has_its_whole_quota(used, traffik):
    said = traffik("explain", *used, *RATE, "--id", "203.0.113.9")
    assert (said.code, said.err) == (0, "")
    assert "none: a client that has used nothing" in said.out


def test_stat_consumes_nothing(used, traffik):
    lines = [traffik("stat", *used, *RATE, "--id", "203.0.113.8").out for _ in range(2)]
    assert lines == ["7 of 10 left\n"] * 2


def test_top_lists_all_keys_those_with_the_least_left_first(used, traffik):
    found = json.loads(traffik("top", *used, *RATE, "--json").out)
    assert (found["complete"], found["keys"], found["unnamed"]) == (True, 3, 0)
    assert [(row["key"], row["remaining"]) for row in found["worst"]] == [
        ("203.0.113.7", 0),
        ("203.0.113.8", 7),
        ("user:é", 9),
    ]


def test_top_says_if_it_has_not_seen_all_keys(used, traffik):
    assert "and there are more: raise --most" in traffik("top", *used, *RATE, "--most", "2").out


def test_top_shows_the_number_of_keys_without_names(used, tmp_path, traffik):
    with LMDBBackend(tmp_path / "quo ta") as store:
        store.apply_sync(
            [Charge("filed:data", trial_of(("10/min",), uid="filed:data").plan, local_key("é" * 128, "é"), 1)]
        )
    del store
    gc.collect()
    assert "3 keys; 1 without a name" in traffik("top", *used, *RATE).out


def test_reset_forgets_one_key_or_all(used, traffik):
    assert traffik("reset", *used, "--id", "203.0.113.7").out == "forgotten\n"
    left = [traffik("stat", *used, *RATE, "--id", f"203.0.113.{last}").out for last in (7, 8)]
    assert left == ["10 of 10 left\n", "7 of 10 left\n"]
    assert traffik("reset", *used, "--yes").out == "forgotten\n"
    assert json.loads(traffik("top", *used, *RATE, "--json").out)["keys"] == 0


def test_a_running_application_sees_a_reset_at_once(tmp_path, shell):
    with LMDBBackend(tmp_path / "live", on_error="raise") as store:
        limiter = Limiter("filed:data", "10/min", backend=store).sync
        limiter.hit("ada", 10)
        said = shell("reset", "--store", url_of(tmp_path / "live"), "--throttle", "filed:data", "--id", "ada")
        assert (said.code, said.out, said.err) == (0, "forgotten\n", "")
        assert limiter.hit("ada", 10)


@pytest.mark.parametrize("command", [("stat", *RATE, "--id", "x"), ("top", *RATE), ("reset", "--yes")], ids=str)
def test_a_wrong_path_is_an_error_and_makes_no_files(used, tmp_path, traffik, command):
    before = sorted(tmp_path.rglob("*"))
    said = traffik(*command, "--throttle", "filed:data", "--store", url_of(tmp_path / "typo"))
    assert (said.code, said.out) == (2, "")
    assert f"traffik: there is no store in {str(tmp_path / 'typo')!r}" in said.err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_a_directory_the_default_is_used(tmp_path, traffik, monkeypatch):
    monkeypatch.setattr(paths, "_bases", lambda: iter([tmp_path]))
    asked = ("stat", "--store", "lmdb:", "--throttle", "filed:data", *RATE, "--id", "203.0.113.8")
    assert f"there is no store in {str(tmp_path / f'traffik-{os.geteuid()}')!r}" in traffik(*asked).err
    use(None)
    assert traffik(*asked).out == "7 of 10 left\n"


@pytest.mark.parametrize(
    "url",
    ["lmdb://", "lmdb:///", "lmdb:quota", "lmdb:/quota", "lmdb://quota", "lmdb:///a?b=1", "lmdb:///a#b", "lmdb:///%00"],
)
def test_an_invalid_url_of_lmdb_is_an_error(url):
    with pytest.raises(ConfigurationError, match="names no directory: write lmdb:///absolute/directory"):
        open_store(url, "traffik")


@pytest.mark.parametrize("url", ["", "lmdb", "redis:", "memory://", "/dev/shm/shop", "mdb:///shop"])
def test_an_unknown_url_is_an_error_that_lists_the_stores(url):
    with pytest.raises(ConfigurationError, match=r"a command cannot open the store .* redis://.* lmdb:///DIRECTORY"):
        open_store(url, "traffik")


@pytest.mark.parametrize(("extra", "module", "url"), [("lmdb", "lmdb", "lmdb:"), ("redis", "redis", "redis://x")])
def test_a_missing_package_is_an_error_with_the_line_that_installs_it(shell, tmp_path, extra, module, url):
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('No module named {module}', name={module!r})")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    said = shell("reset", "--store", url, "--throttle", "a", "--yes", PYTHONPATH=path)
    assert (said.code, said.err) == (2, f"traffik: this store needs {module}: pip install 'traffik-core[{extra}]'\n")
