"""A store with `create=False`: it uses existing files and makes none."""

from __future__ import annotations

import gc
from fcntl import LOCK_EX, LOCK_UN, flock
from types import SimpleNamespace

import pytest

from tests.backends.lmdb.conftest import environment_of, reopened
from traffik import BackendError, BackendTimeoutError, ConfigurationError, FixedWindow, Limiter, hit_all_sync
from traffik.backends.inspection import KeyPage, StoredState
from traffik.backends.lmdb import LMDBBackend, access, backend, clocks, environments, files
from traffik.limits.changes import change_in_store
from traffik.limits.combinations import Combination
from traffik.limits.composing import TRY, take_all
from traffik.model.coroutines import run_sync


def limiter_on(store):
    return Limiter("create", "5/day", strategy=FixedWindow(), backend=store).sync


@pytest.fixture
def used(directory, clock):
    """A directory in which quota was used, and whose files this process has closed."""

    def use(*identities, **options):
        for identity in identities:
            limiter_on(LMDBBackend(directory, clock=clock, on_error="raise", changes_within=None, **options)).hit(
                identity, 2
            )
        forgotten(directory)

    return use


def forgotten(directory):
    """Make this process forget a directory, as if it had just started."""
    reopened(directory)
    gc.collect()
    assert [path for path in environments._environments if path.parent == directory] == []


@pytest.fixture
def guest(directory, clock):
    return lambda **options: LMDBBackend(directory, create=False, clock=clock, on_error="raise", **options)


def everything(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_missing_directory_is_an_error(guest, directory):
    with pytest.raises(ConfigurationError, match=r"there is no store in '.*quota'.*quota-0\.mdb"), guest():
        pass
    assert not directory.exists()


def test_a_missing_directory_above_is_an_error(tmp_path):
    store = LMDBBackend(tmp_path / "no" / "where", create=False)
    with pytest.raises(ConfigurationError, match="there is no store in"), store:
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_is_an_error(guest, directory):
    directory.mkdir(0o700)
    with pytest.raises(ConfigurationError, match="there is no store in"), guest():
        pass
    assert list(directory.iterdir()) == []


def test_an_unsafe_directory_is_refused(guest, directory):
    directory.mkdir(0o777)
    directory.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others may write to it"), guest():
        pass


def test_it_shares_the_quota_of_other_stores(used, guest):
    used("ada")
    with guest() as store:
        assert limiter_on(store).stat("ada").hits_remaining == 3
        assert limiter_on(store).hit("ada").remaining == 2


def test_a_file_that_stays_busy_does_not_affect_other_files(used, guest, monkeypatch):
    used("ada", "bob")
    monkeypatch.setattr(backend, "_PATIENCE", 0.01)
    with guest() as store, store._file_of(b"ada").path.open("rb") as file:
        flock(file, LOCK_EX)
        assert limiter_on(store).stat("bob").hits_remaining == 3
        with pytest.raises(BackendTimeoutError, match="busy"):
            store.inspect_sync("create", "ada")


def test_every_call_waits_as_long_as_a_hit_may(used, guest, monkeypatch):
    used("ada")
    pauses = []
    with guest(deadline=5) as store, store._file_of(b"ada").path.open("rb") as file:

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 4:
                flock(file, LOCK_UN)

        flock(file, LOCK_EX)
        monkeypatch.setattr(access, "time", SimpleNamespace(monotonic=lambda: len(pauses), sleep=sleep))
        assert store.inspect_sync("create", "ada") != StoredState(None, None)


def test_it_makes_no_missing_file_and_finds_nothing_used_there(used, guest, directory):
    used("ada")
    before = everything(directory)
    assert sorted(path.rpartition(".")[2] for path in before) == ["boot", "mdb"]
    with guest() as store:
        others = [f"client:{number}" for number in range(40)]
        assert {limiter_on(store).stat(other).hits_remaining for other in others} == {5}
        assert {store.inspect_sync("create", other) for other in others} == {StoredState(None, None)}
        assert store.list_keys_sync("create", 10) == KeyPage(["ada"], True)
        store.reset_sync("create", "client:1")
    assert everything(directory) == before


def test_a_hit_with_a_missing_file_is_decided_by_the_error_policy(used, guest, directory):
    used("ada")
    before = everything(directory).keys()
    with guest() as store:
        assert limiter_on(store).hit("ada")
        (other,) = [name for name in "bcdefghijk" if store._file_of(name.encode()) is not store._file_of(b"ada")][:1]
        with pytest.raises(BackendError, match=r"'.*quota-\d+\.mdb' is missing, and this store"):
            limiter_on(store).hit(other)
    assert everything(directory).keys() == before


def test_a_reset_of_all_forgets_existing_files(used, guest):
    used("ada", "bob")
    with guest() as store:
        store.reset_sync("create")
        assert store.list_keys_sync("create", 10) == KeyPage([], True)


@pytest.mark.usefixtures("one_file")
@pytest.mark.parametrize("durable", [False, True])
def test_a_file_from_before_a_restart_of_the_machine_is_not_changed(used, guest, directory, monkeypatch, durable):
    used("ada", durable=durable)
    before = everything(directory)
    for module in (clocks, files):
        monkeypatch.setattr(module, "boot_id", lambda: b"another")
    with guest() as store, pytest.raises(BackendError, match="from before the last restart of the machine"):
        store.list_keys_sync("create", 10)
    assert everything(directory) == before


@pytest.mark.usefixtures("one_file")
def test_it_reads_a_durable_file_on_the_clock_of_the_file(used, guest, clock):
    used("ada", durable=True)
    clock.advance(seconds=1)
    with guest() as store:
        assert 0 < store.inspect_sync("create", "ada").ttl < 86_400_000_000
        assert limiter_on(store).stat("ada").hits_remaining == 3


@pytest.mark.usefixtures("one_file")
def test_a_file_of_another_kind_is_not_changed(used, guest, directory):
    used("ada")
    (directory / "quota-0.mdb").write_bytes(bytes(1 << 19))
    with guest() as store, pytest.raises(BackendError, match="or holds no quota"):
        store.list_keys_sync("create", 10)
    assert (directory / "quota-0.mdb").read_bytes() == bytes(1 << 19)


@pytest.mark.usefixtures("one_file")
def test_a_damaged_file_is_closed_but_not_replaced(used, guest, directory):
    used("ada")
    with guest() as store:
        store.list_keys_sync("create", 10)
        environment = environment_of(store)
        environment.discard()
        assert environment.file is None
    assert (directory / "quota-0.mdb").exists()


@pytest.mark.usefixtures("one_file")
def test_a_file_that_is_deleted_while_open_counts_as_missing(used, guest, directory, clock):
    used("ada")
    with guest() as store:
        store.list_keys_sync("create", 10)
        (directory / "quota-0.mdb").unlink()
        clock.advance(seconds=1)
        assert store.list_keys_sync("create", 10) == KeyPage([], True)


def test_stores_of_one_process_agree_on_making_files(store, guest):
    with pytest.raises(ConfigurationError, match=r"another store .* has .* create=True.* not .* create=False"):
        guest()
    assert store


def test_a_decision_of_several_limits_and_a_change_need_the_file_too(used, guest, directory):
    used("ada")
    with guest() as store:
        names = [name for name in "bcdefghijk" if not store._file_of(name.encode()).path.exists()]
        one, other = (Limiter(uid, "5/day", backend=store) for uid in ("one", "other"))
        with pytest.raises(BackendError, match="is missing, and this store"):
            hit_all_sync(names[0], one, other)
        assert run_sync(take_all(Combination([one, other]), names[0], 1, None, True, TRY)).decision
        with pytest.raises(BackendError, match="is missing, and this store"):
            change_in_store(store, "one", "2/day")
