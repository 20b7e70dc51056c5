"""The directory of the files, and directories that are refused because other users could write to them."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path

import pytest

from traffik import BackendError, ConfigurationError, Limiter
from traffik.backends.base import Charge
from traffik.backends.lmdb import LMDBBackend, paths

pytestmark = pytest.mark.usefixtures("one_file")

NOBODY = 65534


def opened(directory):
    """Open a store there, hit, and close it."""
    with LMDBBackend(directory, on_error="raise") as store:
        return Limiter("places", "5/day", backend=store).sync.hit("ada")


def modes(directory):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())}


def test_only_this_user_can_use_the_directory_and_the_file(directory):
    assert opened(directory)
    assert modes(directory) == {"quota": 0o700, "quota-0.mdb": 0o600, "quota-0.boot": 0o600}


def test_a_umask_that_allows_all_changes_nothing(directory):
    before = os.umask(0)
    try:
        assert opened(directory)
    finally:
        os.umask(before)
    assert modes(directory) == {"quota": 0o700, "quota-0.mdb": 0o600, "quota-0.boot": 0o600}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o720])
def test_a_directory_that_others_can_write_to_is_refused(directory, mode):
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"others may write to it \(mode {mode:04o}\)"):
        opened(directory)


def test_a_directory_that_others_can_replace_is_refused(directory):
    directory.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"others may write to .*, and could replace it"):
        opened(directory)


def test_a_directory_below_one_that_others_can_replace_is_refused(directory):
    (directory / "own").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    directory.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"others may write to .*, and could replace it"):
        opened(directory / "own" / "store")


def test_a_directory_below_one_of_another_user_is_refused(directory, monkeypatch):
    lstat = Path.lstat

    def theirs(path):
        found = list(lstat(path))
        found[stat.ST_UID] = NOBODY if path == directory.parent.parent else found[stat.ST_UID]
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", theirs)
    with pytest.raises(ConfigurationError, match=rf"belongs to user {NOBODY}, who could replace it"):
        opened(directory)


def test_directories_above_are_made_for_this_user_alone_too(directory):
    below = directory / "k" / "l"
    assert opened(below).degraded is None
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, directory / "k", below)] == [0o700] * 3


def test_a_link_that_is_put_above_the_directory_later_is_refused(directory, tmp_path):
    store = LMDBBackend(directory / "own" / "store")
    (tmp_path / "elsewhere").mkdir()
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="has become a symbolic link"):
        store.open_sync()


def test_a_directory_below_a_sticky_one_is_accepted(directory):
    directory.parent.chmod(0o1777)
    assert opened(directory)


def test_a_directory_of_another_user_is_refused(directory, monkeypatch):
    directory.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with pytest.raises(ConfigurationError, match=rf"belongs to user \d+, and this process runs as user {NOBODY}"):
        opened(directory)


def test_a_symbolic_link_is_refused(directory, tmp_path):
    directory.symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="it is a symbolic link"):
        opened(directory)


def test_a_file_instead_of_a_directory_is_refused(directory):
    directory.touch(0o600)
    with pytest.raises(ConfigurationError, match="it is not a directory"):
        opened(directory)


def test_an_empty_path_is_refused():
    with pytest.raises(ConfigurationError, match="the path of a store is empty"):
        opened("")


def test_a_file_that_is_a_symbolic_link_is_refused(directory, tmp_path):
    directory.mkdir(0o700)
    (directory / "quota-0.mdb").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match=r"quota-0\.mdb.*it is a symbolic link"):
        opened(directory)


def test_a_file_with_a_second_hard_link_is_refused(directory, tmp_path):
    assert opened(directory)
    os.link(directory / "quota-0.mdb", tmp_path / "another")
    with pytest.raises(ConfigurationError, match="it is not a plain file with one name"):
        opened(directory)


def test_a_file_that_others_can_write_to_is_refused(directory):
    assert opened(directory)
    (directory / "quota-0.mdb").chmod(0o666)
    with pytest.raises(ConfigurationError, match=r"others may write to it \(mode 0666\)"):
        opened(directory)


def test_a_link_above_the_directory_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert paths.resolve_directory(tmp_path / "link" / "quota") == tmp_path / "real" / "quota"


@pytest.fixture
def bases(monkeypatch, tmp_path):
    """Two empty parents for the default directory."""
    found = [tmp_path / "first", tmp_path / "second"]
    for base in found:
        base.mkdir()
    monkeypatch.setattr(paths, "_bases", lambda: iter(found))
    return found


def test_the_default_is_in_the_first_parent_that_exists(bases):
    assert paths.resolve_directory(None) == bases[0] / f"traffik-{os.geteuid()}"
    bases[0].rmdir()
    assert paths.resolve_directory(None) == bases[1] / f"traffik-{os.geteuid()}"


def test_shared_memory_comes_before_the_session_directory_and_temporary_files(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    first, second, third = paths._bases()
    assert (first, second, third.is_dir()) == (Path("/dev/shm"), Path("/run/user/1000"), True)


def test_a_directory_that_becomes_unsafe_is_left_to_the_error_policy(directory):
    store = LMDBBackend(directory)
    limiter = Limiter("turned", "5/day", backend=store)
    with store:
        assert limiter.sync.hit("ada").degraded is None
    directory.chmod(0o777)
    assert limiter.sync.hit("ada").degraded == "fallback"
    assert asyncio.run(limiter.hit("ada")).degraded == "fallback"
    assert asyncio.run(store.apply([Charge("turned", limiter.own_plan, "ada", 1)]))[0].degraded == "fallback"


def test_a_directory_that_becomes_unsafe_is_an_error_of_the_store(directory):
    opened(directory)
    directory.chmod(0o777)
    limiter = Limiter("turned", "5/day", backend=LMDBBackend(directory, on_error="raise"))
    with pytest.raises(BackendError, match="others may write to it"):
        limiter.sync.hit("ada")
    with pytest.raises(BackendError, match="others may write to it"):
        asyncio.run(limiter.hit("ada"))


def test_an_open_file_that_others_may_write_to_is_left_to_the_error_policy(directory, clock, one_file):
    limiter = Limiter("turned", "5/day", backend=LMDBBackend(directory, clock=clock)).sync
    limiter.hit("ada")
    (directory / "quota-0.mdb").chmod(0o606)
    clock.advance(seconds=0.2)
    assert limiter.hit("ada").degraded == "fallback"
    (directory / "quota-0.mdb").chmod(0o600)
    assert limiter.hit("ada").remaining == 3


def test_without_a_session_directory_temporary_files_come_next(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert [str(each) for each in paths._bases()] == ["/dev/shm", tempfile.gettempdir()]
