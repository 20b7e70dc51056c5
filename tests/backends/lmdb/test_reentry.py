"""A signal handler may hit while its own thread uses the file, or raise an error there, and disturbs no other hit."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

import pytest

from tests.interrupting import each_interrupt, in_thread
from traffik import BackendError, Decision, Limiter, Transition
from traffik.backends.lmdb import LMDBBackend

pytestmark = pytest.mark.usefixtures("one_file")


@dataclass(frozen=True)
class Interrupted:
    """Raises a signal while it decides. It admits if this process still has the lock of the file afterwards."""

    path: str

    def decide(self, state, rate, cost, now):
        signal.raise_signal(signal.SIGUSR1)
        fd = os.open(self.path, os.O_RDWR)
        try:
            flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return Transition(Decision(True, rate.limit, 0), (1,), rate.period)
        finally:
            os.close(fd)
        return Transition(Decision(False, rate.limit, 0), None, 0)


@pytest.fixture
def handled():
    """A list for the function that the signal calls, and a list of its results."""
    calls, answers = [], []
    before = signal.signal(signal.SIGUSR1, lambda *_: answers.append(calls[0]()))
    yield calls, answers
    signal.signal(signal.SIGUSR1, before)


def limiters_on(directory, **options):
    store = LMDBBackend(directory, **options)
    strategy = Interrupted(str(directory / "quota-0.mdb"))
    return store, Limiter("inner", "5/day", backend=store), Limiter("outer", "5/day", strategy=strategy, backend=store)


def test_the_hit_of_a_handler_is_decided_by_the_error_policy_at_once(directory, handled, caplog):
    store, inner, outer = limiters_on(directory, deadline=60)
    inner.sync.hit("ada")
    handled[0].append(lambda: inner.sync.hit("ada").degraded)
    assert outer.sync.hit("ada")
    assert asyncio.run(outer.hit("ada"))
    assert handled[1] == ["fallback", "fallback"]
    assert "used the store while its own thread was deciding a hit" in caplog.text
    assert store._circuit.well
    assert inner.sync.hit("ada").remaining == 3


def test_with_raise_the_hit_of_a_handler_is_an_error_with_the_reason(directory, handled):
    _, inner, outer = limiters_on(directory, on_error="raise")

    def handler():
        with pytest.raises(BackendError, match="let the handler only note the signal"):
            inner.sync.hit("ada")

    handled[0].append(handler)
    assert outer.sync.hit("ada")
    assert handled[1] == [None]


def test_a_handler_may_hit_while_its_own_thread_counts_a_degraded_hit(directory, handled):
    store, inner, outer = limiters_on(directory)
    handled[0].append(lambda: inner.sync.hit("ada").degraded)
    with store._lock:
        assert store._lock.acquire(blocking=False)  # otherwise the next line would wait for ever
        assert outer.sync.hit("ada")
        store._lock.release()
    assert (handled[1], store.degraded) == (["fallback"], {"fallback": 1})


def test_a_handler_that_raises_at_any_point_leaves_the_file_to_others(directory):
    limiter = Limiter("raised", "1000/day", backend=LMDBBackend(directory, on_error="raise")).sync
    limiter.hit("ada")
    fd = os.open(directory / "quota-0.mdb", os.O_RDWR)
    before = 0
    for point in each_interrupt(lambda: limiter.hit("ada")):
        flock(fd, LOCK_EX | LOCK_NB)  # as another process
        flock(fd, LOCK_UN)
        used = 1000 - in_thread(lambda: limiter.hit("ada")).remaining
        assert used - before in {1, 2}, f"counted more than once at point {point}"
        before = 1000 - limiter.hit("ada").remaining
    assert before > 20, "the hit has fewer points than it must have"
    os.close(fd)
