"""Signal handlers that hit while their own thread is in the in-memory store."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

import pytest

from traffik import FixedWindow, Limiter, Rate
from traffik.backends.inmemory import InMemoryBackend


@dataclass(frozen=True)
class Interrupted:
    """A strategy that raises a signal after the store has read the state."""

    counted: FixedWindow = field(default_factory=FixedWindow)

    def decide(self, state, rate, cost, now):
        signal.raise_signal(signal.SIGUSR1)
        return self.counted.decide(state, rate, cost, now)


@pytest.fixture
def limiter(clock):
    store = InMemoryBackend(clock=clock)
    return Limiter("reentrancy", Rate.parse("50/day"), strategy=Interrupted(), backend=store)


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
