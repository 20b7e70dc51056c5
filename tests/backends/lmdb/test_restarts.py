"""The quota after restarts of processes and machines, and after the file was deleted, truncated or damaged."""

from __future__ import annotations

import os
import time

import lmdb
import pytest

from tests.backends.lmdb.conftest import environment_of, reopened
from tests.backends.lmdb.workers import Worker
from tests.walks import every_strategy
from traffik import BackendError, ConfigurationError, FixedWindow, Limiter
from traffik.backends.lmdb import LMDBBackend, backend, clocks, files, ledger
from traffik.testing import VirtualClock

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # the tests fork
    pytest.mark.usefixtures("one_file"),
]

WALL = 1_700_000_000


class Machine:
    """A machine that can restart: with a boot id, a monotonic clock, and a wall clock that tests can set.

    Attributes:
        clock: the monotonic clock.
        wall: the time of the wall clock, in seconds.
    """

    def __init__(self, directory, monkeypatch):
        self.directory = directory
        self.clock = VirtualClock(5_000_000)
        self.wall = WALL
        self.boots = 1
        monkeypatch.setattr(clocks, "_wall", lambda: self.wall * 1_000_000_000)
        for module in (clocks, files):
            monkeypatch.setattr(module, "boot_id", lambda: b"boot %d" % self.boots)

    def boot(self, wall):
        """Restart, with this time on the wall clock."""
        self.boots += 1
        self.clock.now = 5_000_000
        self.wall = wall
        reopened(self.directory)

    def wait(self, seconds):
        self.clock.advance(seconds=seconds)
        self.wall += seconds

    def limiter(self, rate="3/day", strategy=None, **options):
        store = LMDBBackend(self.directory, clock=self.clock, on_error="raise", **options)
        return Limiter("restarts", rate, strategy=strategy or FixedWindow(), backend=store).sync


@pytest.fixture
def machine(directory, monkeypatch):
    return Machine(directory, monkeypatch)


def limiter_on(store):
    return Limiter("restarts", "3/day", strategy=FixedWindow(), backend=store).sync


@pytest.mark.parametrize("durable", [False, True])
def test_quota_outlives_the_process_that_has_counted_it(machine, durable):
    assert machine.limiter(durable=durable).hit("ada", 3)
    reopened(machine.directory)
    assert not machine.limiter(durable=durable).hit("ada")


def test_a_restart_of_the_machine_gives_fresh_state(machine):
    assert machine.limiter().hit("ada", 3)
    machine.boot(WALL + 60)
    assert machine.limiter().hit("ada", 3)


@every_strategy
def test_a_durable_store_continues_after_a_restart_of_the_machine(machine, strategy):
    limiter = machine.limiter("3/day", strategy, durable=True)
    while limiter.hit("ada"):
        pass
    machine.boot(WALL)
    limiter = machine.limiter("3/day", strategy, durable=True)
    assert not limiter.hit("ada")
    machine.wait(2 * 86_400)
    assert limiter.hit("ada")


def test_time_passes_while_the_machine_is_off(machine):
    assert machine.limiter("3/hour", durable=True).hit("ada", 3)
    machine.boot(WALL + 3_600)
    assert machine.limiter("3/hour", durable=True).hit("ada", 3)


def test_a_wall_clock_that_went_back_gives_nothing_back_and_delays_at_most_by_the_drain_time(machine):
    assert machine.limiter("3/hour", durable=True).hit("ada", 3)
    machine.boot(0)
    limiter = machine.limiter("3/hour", durable=True)
    assert limiter.hit("ada").wait_seconds <= 3_600
    machine.wait(3_600)
    assert limiter.hit("ada", 3)


def test_a_change_of_the_wall_clock_changes_nothing(machine):
    limiter = machine.limiter("3/hour", durable=True)
    assert limiter.hit("ada", 3)
    for wall in (0, 2 * WALL):
        machine.wall = wall
        reopened(machine.directory)
        assert machine.limiter("3/hour", durable=True).hit("ada").wait_seconds == 3_600


def test_without_boot_ids_a_clock_that_went_back_means_a_restart(machine, monkeypatch):
    for module in (clocks, files):
        monkeypatch.setattr(module, "boot_id", lambda: b"")
    limiter = machine.limiter("3/hour", durable=True)
    machine.wait(60)
    assert limiter.hit("ada", 3)
    machine.boot(WALL + 60 + 1_800)
    assert machine.limiter("3/hour", durable=True).hit("ada").wait_seconds == 1_800


def test_the_mark_moves_about_once_a_second(machine):
    limiter = machine.limiter("30/day", durable=True)
    for _ in range(30):
        limiter.hit("ada")
        machine.wait(0.5)
    reopened(machine.directory)
    store = machine.limiter(durable=True)._limit.backend
    limiter_on(store).check("ada")
    assert 13 <= environment_of(store).file.head.mark / 1_000_000 - WALL <= 15


@pytest.mark.parametrize("damage", [b"", b"\0" * (1 << 20), b"x" * (2 << 20)], ids=["empty", "zeros", "other"])
@pytest.mark.parametrize("durable", [False, True])
def test_a_file_of_another_kind_starts_afresh(machine, damage, durable):
    assert machine.limiter(durable=durable).hit("ada", 3)
    machine.boot(WALL + 60) if durable else reopened(machine.directory)
    (machine.directory / "quota-0.mdb").write_bytes(damage)
    assert machine.limiter(durable=durable).hit("ada", 3)


def test_a_durable_file_that_was_damaged_by_a_power_failure_starts_afresh(machine):
    limiter = machine.limiter(durable=True)
    for number in range(500):
        limiter.hit(f"client:{number}", 3)
    machine.boot(WALL + 60)
    with (machine.directory / "quota-0.mdb").open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\0" * 40960)
    assert machine.limiter(durable=True).hit("client:1", 3)


def test_lowering_a_limit_never_grants_fresh_quota(store):
    assert Limiter("restarts", "9/day", strategy=FixedWindow(), backend=store).sync.hit("ada", 8)
    assert not limiter_on(store).hit("ada")


@pytest.fixture
def team(directory):
    """Two workers that use the same file."""
    with Worker(directory) as one, Worker(directory) as other:
        assert [worker.hit("ada", 2).allowed for worker in (one, other)] == [True, False]
        yield one, other


def removed(directory):
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def only_the_file_removed(directory):
    (directory / "quota-0.mdb").unlink()


@pytest.mark.parametrize("remove", [removed, only_the_file_removed])
def test_after_a_file_is_deleted_all_workers_share_a_fresh_one(team, directory, remove):
    one, other = team
    remove(directory)
    time.sleep(0.15)  # workers check the file every tenth of a second
    assert [one.hit("ada", 3).allowed, other.hit("ada").allowed] == [True, False]
    assert [other.hit("eve", 3).allowed, one.hit("eve").allowed] == [True, False]


def test_a_file_that_is_deleted_under_load_gives_at_most_one_extra_quota(team, directory):
    admitted = 0
    end = time.monotonic() + 0.3
    removed(directory)
    while time.monotonic() < end:
        admitted += sum(worker.hit("ada").allowed for worker in team)
    assert admitted <= 1 + 3


def test_a_truncated_file_is_soon_replaced(team, directory):
    one, other = team
    time.sleep(0.15)  # as above
    (directory / "quota-0.mdb").write_bytes(b"")
    assert [one.hit("ada", 3).allowed, other.hit("ada").allowed] == [True, False]


def test_a_damaged_file_is_replaced(store, monkeypatch):
    limiter = limiter_on(store)
    assert limiter.hit("ada", 3)
    failing = iter([lmdb.CorruptedError("a page of the wrong type", 0)])

    def decide(*arguments):
        for error in failing:
            raise error
        return ledger.decide_entries(*arguments)

    monkeypatch.setattr(backend, "decide_entries", decide)
    with pytest.raises(BackendError, match="a page of the wrong type"):
        limiter.hit("ada")
    assert limiter.hit("ada", 3)


def test_two_stores_of_one_process_share_a_directory_if_their_settings_agree(directory):
    one, other = (LMDBBackend(directory, on_error="raise") for _ in range(2))
    assert limiter_on(one).hit("ada", 3)
    assert not limiter_on(other).hit("ada")
    with pytest.raises(ConfigurationError, match=r"another store of this process has .*FileSettings.map_size="):
        LMDBBackend(directory, durable=True)


def test_a_durable_store_needs_a_path():
    with pytest.raises(ConfigurationError, match="give it a path"):
        LMDBBackend(durable=True)


def test_closing_keeps_the_quota(store):
    with store:
        assert limiter_on(store).hit("ada", 3)
    assert environment_of(store).file is None
    assert not limiter_on(store).hit("ada")


def test_a_file_without_its_head_or_with_another_starts_afresh(store, directory):
    for head in (None, b"short"):
        assert limiter_on(store).hit("ada", 3)
        with environment_of(store).file.env.begin(write=True) as transaction:
            transaction.delete(clocks.HEAD_KEY) if head is None else transaction.put(clocks.HEAD_KEY, head)
        reopened(directory)


def test_a_file_that_shrinks_while_it_is_open_starts_afresh(store, directory, clock, caplog):
    assert limiter_on(store).hit("ada", 3)
    clock.advance(seconds=1)  # it is checked every tenth of a second
    os.truncate(directory / "quota-0.mdb", 1)
    assert limiter_on(store).hit("ada", 3)
    assert "has been truncated" in caplog.text


def test_a_file_that_cannot_be_made_is_not_left_behind(directory, clock, monkeypatch):
    monkeypatch.setattr(files, "_reserve", lambda *_: 1 / 0)
    directory.mkdir(0o700)
    with pytest.raises(ZeroDivisionError):
        files.create_file(directory / "quota-0.mdb", 0, files.FileSettings(1 << 20, durable=False, create=True))
    assert [path.suffix for path in directory.iterdir()] == [".boot"]


def test_a_file_whose_boot_was_not_noted_starts_afresh(store, directory):
    assert limiter_on(store).hit("ada", 3)
    (directory / "quota-0.boot").unlink()
    reopened(directory)
    assert limiter_on(store).hit("ada", 3)


def test_a_machine_may_have_no_boot_id(monkeypatch, tmp_path):
    monkeypatch.setattr(clocks, "_BOOT_ID", tmp_path / "none")
    assert clocks.boot_id() == b""
