"""The pauses of a limiter's keys."""

from __future__ import annotations

import pytest

from traffik import Limiter
from traffik.limits import timing
from traffik.model.coroutines import run_sync
from traffik.pacing import pacer
from traffik.pacing.pauses import Pauses, pauses_of


@pytest.fixture(autouse=True)
def _virtual(clock):
    with clock.skipping_pauses():
        yield


def test_a_pause_ends_at_its_time(clock):
    pauses = Pauses()
    pauses.extend("a", 5)
    clock.advance(microseconds=4)
    assert (pauses.left("a"), pauses.left("b")) == (1, 0)
    clock.advance(microseconds=1)
    assert pauses.left("a") == 0


def test_a_shorter_pause_does_not_end_a_longer_one(clock):
    pauses = Pauses()
    pauses.extend("a", 5)
    pauses.extend("a", 2)
    pauses.extend("a", 0)
    assert pauses.left("a") == 5


def test_the_memory_of_pauses_is_bounded_and_keeps_the_longest():
    pauses = Pauses()
    for wait in range(1, 100_001):
        pauses.extend(str(wait), wait)
    assert len(pauses._until) <= 4096
    assert pauses.left("100000") == 100_000


def test_pauses_belong_to_one_limiter(store):
    limiter, other = Limiter("api", "1/s", backend=store), Limiter("other", "1/s", backend=store)
    pauses_of(limiter).extend("a", 5)
    assert (pauses_of(limiter).left("a"), pauses_of(other).left("a")) == (5, 0)


def test_a_pause_that_begins_while_the_limiter_is_waited_for_is_kept(clock, store, monkeypatch):
    limiter = Limiter("paced", "1/min", backend=store)
    made = pacer.Pacer(limiter, str, retries=0, longest_pause=600, timeout=None, methods={"GET"})
    sleeps = []

    def sleep(wait):
        sleeps.append(wait)
        clock.advance(microseconds=wait)
        if len(sleeps) == 1:
            made._pauses.extend("a", 5_000_000)

    limiter.sync.hit("a")
    monkeypatch.setattr(timing, "sleep_sync", sleep)
    run_sync(made._turn("a", None, sync=True))
    assert sleeps == [60_000_000, 5_000_000, 55_000_000]
