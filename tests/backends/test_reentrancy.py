"""Signal handlers that hit, or raise an error, while their own thread is in the in-memory store."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import pytest

from tests.interrupting import Interrupted, each_interrupt, in_thread
from traffik import FixedWindow, Limiter, Rate, hit_all_sync
from traffik.backends.inmemory import InMemoryBackend


@dataclass(frozen=True)
class Signalling:
    """A strategy that raises a signal after the store has read the state."""

    counted: FixedWindow = field(default_factory=FixedWindow)

    def decide(self, state, rate, cost, now):
        signal.raise_signal(signal.SIGUSR1)
        return self.counted.decide(state, rate, cost, now)


@pytest.fixture
def limiter(clock):
    store = InMemoryBackend(clock=clock)
    return Limiter("reentrancy", Rate.parse("50/day"), strategy=Signalling(), backend=store)


@pytest.fixture
def inside(limiter):
    """Installs a signal handler that runs one function of a list for each signal; its results."""
    calls, answers = [], []

    def handle(*_):
        if calls:
            answers.append(calls.pop()())

    before = signal.signal(signal.SIGUSR1, handle)
    yield calls, answers
    signal.signal(signal.SIGUSR1, before)


def test_a_hit_in_a_handler_is_counted_with_the_one_it_interrupts(limiter, inside):
    calls, answers = inside
    limiter.sync.hit("ada")
    calls += [lambda: limiter.sync.hit("ada")] * 3
    assert limiter.sync.hit("ada").remaining == 45
    assert sorted(answer.remaining for answer in answers) == [46, 47, 48]
    assert limiter.sync.stat("ada").hits_remaining == 45


def test_a_reset_in_a_handler_comes_before_the_hit_it_interrupts(limiter, inside):
    calls, _ = inside
    limiter.sync.hit("ada", 7)
    calls.append(lambda: limiter.sync.reset("ada"))
    assert limiter.sync.hit("ada").remaining == 49


def test_a_hit_while_keys_move_is_refused_as_unavailable(limiter, inside):
    calls, answers = inside
    calls.append(lambda: limiter.sync.hit("bob"))
    assert limiter.sync.hit("ada").remaining == 49  # the first hit of a key inserts it
    assert [(bool(answer), answer.degraded) for answer in answers] == [(False, "unavailable")]
    assert limiter.sync.hit("bob").remaining == 49


def test_a_handler_that_raises_at_any_point_leaves_the_store_to_others(clock):
    limiter = Limiter("raised", "1000/day", backend=InMemoryBackend(clock=clock)).sync
    before = 0
    for _ in each_interrupt(lambda: limiter.hit("ada")):
        used = 1000 - in_thread(lambda: limiter.hit("ada")).remaining
        assert used - before in {1, 2}
        before = used
    assert before > 5


@contextmanager
def held_by_another_thread(lock):
    """Hold `lock` in another thread."""
    held, over = Event(), Event()

    def hold():
        with lock:
            held.set()
            over.wait()

    thread = Thread(target=hold)
    thread.start()
    held.wait()
    yield
    over.set()
    thread.join()


def test_the_error_of_a_handler_is_raised_while_a_hit_waits_for_another_thread(clock):
    def interrupt(*_):
        raise Interrupted

    store = InMemoryBackend(clock=clock)
    limiter = Limiter("waiting", "1000/day", backend=store).sync
    before = signal.signal(signal.SIGALRM, interrupt)
    with held_by_another_thread(store._lock):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            limiter.hit("bob")  # a new key, which waits for the lock
    signal.signal(signal.SIGALRM, before)


def test_what_else_asks_while_keys_move_is_unavailable_too(limiter, inside):
    calls, answers = inside
    other = Limiter("other", "5/day", backend=limiter.backend)
    for call in (lambda: hit_all_sync("bob", limiter, other), lambda: other.sync.charge("bob", 1)):
        calls.append(call)
        limiter.sync.reset("ada")
        assert limiter.sync.hit("ada")
    assert [answer.degraded for answer in answers] == ["unavailable"] * 2
