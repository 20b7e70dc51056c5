"""Forks, threads and event loops: each process opens a file once, and they do not disturb each other."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest

from tests.backends.lmdb.conftest import divided, environment_of
from tests.backends.test_inmemory import busy, in_a_fork
from traffik import FixedWindow, Limiter, SlidingWindow
from traffik.backends.base import Charge
from traffik.backends.lmdb import LMDBBackend
from traffik.strategies import plan as plan_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # the tests fork
    pytest.mark.usefixtures("one_file"),
]


@pytest.fixture
def limiter(directory):
    # no thread of a child opens a file before the child's test looks at it
    return limiter_on(LMDBBackend(directory, on_error="raise", deadline=10, changes_within=None))


def limiter_on(store, rate="100000/day"):
    return Limiter("forks", rate, strategy=FixedWindow(), backend=store).sync


def test_a_fork_opens_the_file_for_itself_and_counts_in_the_same_quota(limiter):
    assert limiter.hit("ada").remaining == 99_999
    assert in_a_fork(lambda: limiter.hit("ada").remaining == 99_998)
    assert limiter.hit("ada").remaining == 99_997


def test_a_fork_of_a_fork_does_too(limiter):
    limiter.hit("ada")
    assert in_a_fork(lambda: limiter.hit("ada") and in_a_fork(lambda: limiter.hit("ada").remaining == 99_997))


def test_a_fork_has_its_own_descriptor(limiter):
    limiter.hit("ada")
    environment = environment_of(limiter._limit.backend)
    parents = os.fstat(environment.file.fd)
    assert in_a_fork(lambda: environment.file is None and limiter.hit("ada"))
    assert os.path.samestat(parents, os.fstat(environment.file.fd))


def test_a_fork_among_busy_threads_leaves_a_store_that_works(limiter):
    with busy(lambda: limiter.hit("ada")):
        assert [in_a_fork(lambda: limiter.hit("eve").allowed) for _ in range(20)] == [True] * 20


def test_a_parent_that_dies_releases_its_lock(limiter, directory):
    """A child that was forked while its parent held the lock does not keep the lock after the parent's death."""
    limiter.hit("ada")
    environment = environment_of(limiter._limit.backend)

    def die_inside():
        environment.enter(object(), time.monotonic_ns, True)
        environment.lock.release()  # so that the fork below does not wait for it
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "3"])
        return environment.transaction is not None

    assert in_a_fork(die_inside)
    assert limiter.hit("ada")


def test_a_fork_of_a_running_loop_has_its_own_loop(directory):
    limiter = Limiter("forks", "100/day", strategy=FixedWindow(), backend=LMDBBackend(directory, on_error="raise"))

    async def work():
        return [(await limiter.hit("ada")).remaining for _ in range(5)]

    async def main():
        assert await work() == [99, 98, 97, 96, 95]
        return os.fork() or 0

    pid = asyncio.run(main())
    if pid == 0:
        os._exit(0 if asyncio.run(work()) == [94, 93, 92, 91, 90] else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_threads_that_fork_and_hit_at_once_do_not_deadlock(limiter):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(in_a_fork(lambda: limiter.hit("ada").allowed))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


def test_a_file_that_another_process_has_extended_is_used_whole(limiter):
    limiter.hit("ada")
    size = environment_of(limiter._limit.backend).file.size
    assert in_a_fork(lambda: all(limiter.hit(f"user:{number}") for number in range(10_000)))
    assert [limiter.hit(f"user:{number}").remaining for number in range(9990, 10_000)] == [99_998] * 10
    assert limiter.hit("ada").remaining == 99_998
    assert environment_of(limiter._limit.backend).file.size > size


def test_a_batch_is_one_step(directory, clock):
    store = LMDBBackend(directory, clock=clock, on_error="raise")
    plan = plan_of(SlidingWindow(), limiter_on(store)._limit.own_plan.rates)
    charges = [Charge("forks", plan, key, 2) for key in ("a", "b", "a")]
    peeks = [Charge("forks", plan, "a", 0, read_only=True)]
    assert [decision.remaining for decision in store.apply_sync(charges + peeks)] == [99_998, 99_998, 99_996, 99_996]


def test_a_batch_that_fails_has_consumed_nothing(directory):
    store = LMDBBackend(directory, on_error="raise")
    limiter = limiter_on(store)

    class Broken:
        def decide(self, state, rate, cost, now):
            raise ZeroDivisionError

    charges = [
        Charge("forks", limiter._limit.own_plan, "ada", 1),
        Charge("broken", plan_of(Broken(), limiter._limit.own_plan.rates), "ada", 1),
    ]
    with pytest.raises(ZeroDivisionError):
        store.apply_sync(charges)
    assert limiter.hit("ada").remaining == 99_999


def test_a_batch_over_several_files_is_one_step(directory, monkeypatch):
    divided(monkeypatch, 8)
    store = LMDBBackend(directory, on_error="raise")
    plan = limiter_on(store, "3/day")._limit.own_plan
    charges = [Charge("forks", plan, str(number % 20), 1) for number in range(100)]
    decisions = store.apply_sync(charges)
    assert [decision.allowed for decision in decisions] == [True] * 60 + [False] * 40
    assert len({store._file_of(each.key.encode()) for each in charges}) == 8


def test_checks_write_nothing(limiter, directory):
    limiter.hit("ada")
    environment = environment_of(limiter._limit.backend)
    before = environment.file.env.info()["last_txnid"]
    for _ in range(5):
        limiter.check("ada")
        limiter.stat("eve")
    assert environment.file.env.info()["last_txnid"] == before


def test_a_refused_hit_writes_nothing(limiter, directory):
    limiter.hit("ada", 100_000)
    environment = environment_of(limiter._limit.backend)
    before = environment.file.env.info()["last_txnid"]
    for _ in range(5):
        assert not limiter.hit("ada")
    assert environment.file.env.info()["last_txnid"] == before


MISSING = """
import sys
sys.modules[sys.argv[1]] = None
try:
    import traffik.backends.lmdb
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("lmdb", "this store needs lmdb: pip install 'traffik-core[lmdb]'"),
        ("fcntl", "this store needs POSIX locks, which this system does not have"),
    ],
)
def test_a_missing_package_is_an_error_that_names_it(module, message):
    done = subprocess.run([sys.executable, "-c", MISSING, module], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == message
