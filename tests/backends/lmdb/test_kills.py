"""Workers that are killed or stopped at any moment: the others continue at once, and nothing is admitted twice."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.backends.lmdb.conftest import divided
from tests.backends.lmdb.workers import Worker
from traffik import BackendTimeoutError, FixedWindow, Limiter
from traffik.backends.lmdb import Breaker, LMDBBackend, environments, ledger

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # the tests fork
    pytest.mark.usefixtures("one_file"),
]

BUSY = 0.5  # seconds of delay on a busy machine
LIMIT = 10_000_000


@dataclass(frozen=True)
class Struck:
    """A fixed window. A decision about the cost `at` sends a signal to its own process."""

    signal: int
    at: int = 2

    def decide(self, state, rate, cost, now):
        transition = FixedWindow().decide(state, rate, cost, now)
        if cost == self.at and Path("/proc/self/stat").exists():
            os.kill(os.getpid(), self.signal)
        return transition


def before_the_commit(monkeypatch):
    monkeypatch.setattr(ledger, "maintain", lambda *_: os.kill(os.getpid(), signal.SIGKILL))


def after_the_commit(monkeypatch):
    commit = environments.Environment.commit

    def commit_and_die(self):
        commit(self)
        if threading.current_thread() is threading.main_thread():  # not one that follows changes in another store
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(environments.Environment, "commit", commit_and_die)


def test_a_worker_killed_while_it_decides_has_consumed_nothing_and_the_next_hits_at_once(directory):
    with Worker(directory, strategy=Struck(signal.SIGKILL)) as victim, Worker(directory, strategy=Struck(0)) as other:
        assert victim.hit().remaining == 2
        victim.begin(cost=2)
        victim.wait_dead()
        start = time.monotonic()
        assert other.hit().remaining == 1
        assert time.monotonic() - start < BUSY


@pytest.mark.parametrize(("where", "left"), [(before_the_commit, 2), (after_the_commit, 1)])
def test_a_worker_killed_at_the_commit_has_consumed_all_or_nothing(directory, monkeypatch, where, left):
    with Worker(directory) as other:
        with monkeypatch.context() as patch:
            where(patch)
            with Worker(directory) as victim:
                victim.begin()
                victim.wait_dead()
        assert other.hit().remaining == left


class Tally:
    """Counts the admitted hits of each process, in shared memory."""

    def __init__(self, processes):
        # Each write is one step. `struct.pack_into` would write 0 first, and a process killed then would count as 0.
        self._counts = memoryview(mmap.mmap(-1, 8 * processes)).cast("Q")

    def note(self, place):
        self._counts[place] += 1

    def __getitem__(self, place):
        return self._counts[place]

    @property
    def total(self):
        return sum(self._counts)


def hammering(directory, tally, place):
    """Fork a process that hits until it is killed."""
    pid = os.fork()
    if pid:
        return pid
    try:
        limiter = limiter_on(LMDBBackend(directory, on_error="raise", deadline=10, changes_within=None), f"{LIMIT}/day")
        while limiter.hit("hot"):
            tally.note(place)
    finally:
        os._exit(1)


def limiter_on(store, rate="3/day"):
    return Limiter("workers", rate, strategy=FixedWindow(), backend=store).sync


def progress(tally, places):
    """Wait until each of the processes has been admitted again."""
    before = {place: tally[place] for place in places}
    deadline = time.monotonic() + 5
    while any(tally[place] == count for place, count in before.items()):
        assert time.monotonic() < deadline, "a process does not continue"
        time.sleep(0.001)  # so that other processes can run


def killed(running, place):
    os.kill(running[place], signal.SIGKILL)
    os.waitpid(running.pop(place), 0)


def test_repeated_kills_under_load_leave_the_others_working_and_every_hit_counted_once(directory):
    kills, tally = 40, Tally(43)
    running = {place: hammering(directory, tally, place) for place in range(3)}
    progress(tally, running)
    for turn in range(kills):
        killed(running, next(iter(running)))
        progress(tally, running)
        running[turn + 3] = hammering(directory, tally, turn + 3)
    for place in list(running):
        killed(running, place)
    used = LIMIT - limiter_on(LMDBBackend(directory), f"{LIMIT}/day").stat("hot").hits_remaining
    assert 0 <= used - tally.total <= kills + 3  # a killed process may have counted a hit without recording it


@pytest.fixture
def stopped(directory):
    """A worker that was stopped in the middle of a hit for two of three units."""
    with Worker(directory, strategy=Struck(signal.SIGSTOP), uid="stopped") as worker:
        worker.begin(cost=2)
        worker.wait_stopped()
        yield worker


def fallen_back(directory, **options):
    store = LMDBBackend(directory, deadline=0.1, changes_within=None, **options)
    return store, Limiter("stopped", "3/day", strategy=Struck(0), backend=store)


def test_while_a_worker_is_stopped_during_a_hit_others_end_by_their_deadline(directory, stopped):
    store, limiter = fallen_back(directory)
    start = time.monotonic()
    decision = limiter.sync.hit("ada")
    assert 0.1 <= time.monotonic() - start < 0.15 + BUSY
    assert (decision.allowed, decision.degraded, store.degraded) == (True, "fallback", {"fallback": 1})


def test_while_a_worker_is_stopped_during_a_hit_the_event_loop_runs(directory, stopped):
    _, limiter = fallen_back(directory)
    late = []

    async def tick():
        while True:
            start = time.monotonic()
            await asyncio.sleep(0.001)  # the delay of the loop is measured
            late.append(time.monotonic() - start)

    async def main():
        ticking = asyncio.ensure_future(tick())
        start = time.monotonic()
        decisions = await asyncio.gather(*(limiter.hit(f"user:{number}") for number in range(50)))
        took = time.monotonic() - start
        ticking.cancel()
        return took, {decision.degraded for decision in decisions}

    took, degraded = asyncio.run(main())
    assert (0.1 <= took < 0.15 + BUSY, degraded) == (True, {"fallback"})
    assert sorted(late)[len(late) // 2] < BUSY


def test_a_worker_that_continues_finishes_its_hit(directory, stopped):
    _, limiter = fallen_back(directory, breaker=Breaker(recovery=0.05))
    assert limiter.sync.hit("ada").degraded == "fallback"
    stopped.cont()
    assert stopped.answer().remaining == 1
    decision = limiter.sync.hit("ada")
    assert (decision.allowed, decision.remaining, decision.degraded) == (True, 0, None)


def test_a_stopped_worker_that_is_killed_leaves_the_file_to_the_others(directory, stopped):
    _, limiter = fallen_back(directory)
    assert limiter.sync.hit("ada").degraded == "fallback"
    stopped.process.kill()
    stopped.wait_dead()
    assert limiter.sync.hit("ada").remaining == 2


def test_hits_on_keys_in_other_files_continue(directory, monkeypatch):
    divided(monkeypatch, 8)
    with Worker(directory, strategy=Struck(signal.SIGSTOP), uid="stopped") as stopped:
        stopped.begin(cost=2)
        stopped.wait_stopped()
        _, limiter = fallen_back(directory)
        degraded = [limiter.sync.hit(f"user:{number}").degraded for number in range(16)]
    assert 0 < degraded.count("fallback") < degraded.count(None)


def test_an_open_breaker_does_not_ask_the_store(directory, stopped, caplog):
    _, limiter = fallen_back(directory, breaker=Breaker(failures=2, recovery=60))
    for _ in range(2):
        limiter.sync.hit("ada")
    start = time.monotonic()
    for _ in range(100):
        assert limiter.sync.hit("eve").degraded == "fallback"
    assert time.monotonic() - start < BUSY
    assert [record.message.partition("> ")[2][:30] for record in caplog.records] == [
        "does not answer as it should: ",
        "is not called for 60 s",
    ]


@pytest.mark.parametrize(
    ("on_error", "expected"),
    [
        ("allow", (True, "allow")),
        ("throttle", (False, "unavailable")),
        (lambda error, charge: "allow", (True, "allow")),
        (lambda error: limiter_decision(), (False, "on_error")),
    ],
)
def test_the_error_policy_decides(directory, stopped, on_error, expected):
    _, limiter = fallen_back(directory, on_error=on_error)
    decision = limiter.sync.hit("ada")
    assert (decision.allowed, decision.degraded) == expected
    decision = asyncio.run(limiter.hit("ada"))
    assert (decision.allowed, decision.degraded) == expected


@pytest.mark.parametrize(("on_error", "expected"), [("fallback", False), ("throttle", True), (lambda: "allow", True)])
def test_a_store_says_whether_it_may_answer_503(directory, on_error, expected):
    assert LMDBBackend(directory, on_error=on_error).may_answer_unavailable is expected


def limiter_decision():
    from traffik import Decision

    return Decision(False, 3, 0, 1)


def test_an_async_error_policy_is_awaited_or_refused(directory, stopped):
    async def allow(error):
        return "allow"

    _, limiter = fallen_back(directory, on_error=allow)
    assert asyncio.run(limiter.hit("ada")).degraded == "allow"
    with pytest.raises(TypeError, match=r"on_error .*allow is async"):
        limiter.sync.hit("ada")


def test_raising_has_the_cause(directory, stopped):
    store, limiter = fallen_back(directory, on_error="raise")
    with pytest.raises(BackendTimeoutError, match="a process that has been stopped may be using it") as caught:
        limiter.sync.hit("ada")
    assert not caught.value.maybe_executed
    with pytest.raises(BackendTimeoutError), store:
        pass


def test_an_application_starts_with_a_store_that_cannot_be_opened(directory, stopped, monkeypatch):
    store, limiter = fallen_back(directory)
    with store:
        assert limiter.sync.hit("ada").degraded == "fallback"


def test_a_hit_that_is_cancelled_while_it_waits_has_consumed_nothing(directory, stopped):
    _, limiter = fallen_back(directory)

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await limiter.hit("ada")

    asyncio.run(main())
    stopped.cont()
    assert stopped.answer().remaining == 1
    assert limiter.sync.stat("ada").hits_remaining == 1


def test_trio_waits_like_asyncio(directory, stopped):
    _, limiter = fallen_back(directory)
    start = time.monotonic()
    assert anyio.run(limiter.hit, "ada", backend="trio").degraded == "fallback"
    assert 0.1 <= time.monotonic() - start < 0.15 + BUSY


def test_a_hit_runs_as_soon_as_the_file_is_free(directory, stopped):
    limiter = Limiter(
        "stopped", "3/day", strategy=Struck(0), backend=LMDBBackend(directory, deadline=10, changes_within=None)
    )

    async def main():
        hit = asyncio.ensure_future(limiter.hit("ada"))
        await asyncio.sleep(0.02)  # the hit waits in real time for a stopped process
        stopped.cont()
        return await hit

    assert asyncio.run(main()).remaining == 0
