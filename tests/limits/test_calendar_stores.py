"""Calendar windows: the whole quota at midnight, in every store."""

from __future__ import annotations

import time

import pytest

from tests.model.test_calendars import HOUR, micros
from traffik import Limiter, Rate
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.testing import VirtualClock

NOON = micros(2026, 3, 28, 12, zone="Europe/Berlin")
APRIL = micros(2026, 4, 1, zone="Europe/Berlin")


@pytest.fixture(params=["memory", "lmdb"])
def store(request, tmp_path):
    clock = VirtualClock(NOON)
    if request.param == "memory":
        return InMemoryBackend(clock=clock), clock
    tmp_path.chmod(0o700)
    return LMDBBackend(tmp_path / "quota", clock=clock, on_error="raise"), clock


def test_each_month_has_the_whole_limit(store):
    backend, clock = store
    with backend:
        limiter = Limiter("plan", "3/month tz=Europe/Berlin", backend=backend).sync
        assert [bool(limiter.hit("ada")) for _ in range(4)] == [True] * 3 + [False]
        wait = limiter.check("ada").retry_after
        assert wait == APRIL - NOON
        clock.advance(microseconds=wait - 1)
        assert not limiter.hit("ada")
        clock.advance(microseconds=1)
        assert [bool(limiter.hit("ada")) for _ in range(4)] == [True] * 3 + [False]


def test_a_day_on_which_the_clocks_change_is_shorter(store):
    backend, clock = store
    with backend:
        limiter = Limiter("plan", "1/day tz=Europe/Berlin", backend=backend).sync
        clock.advance(microseconds=12 * HOUR)
        limiter.hit("ada")
        assert limiter.check("ada").retry_after == 23 * HOUR


def test_it_can_be_combined_with_other_rates(store):
    backend, clock = store
    with backend:
        limiter = Limiter("plan", "2/s; 3/month", backend=backend).sync
        assert [bool(limiter.hit("ada")) for _ in range(3)] == [True, True, False]
        clock.advance(seconds=1)
        assert [bool(limiter.hit("ada")) for _ in range(2)] == [True, False]
        assert limiter.stat("ada").rate == Rate.parse("3/month")


def test_units_are_given_back_in_the_window_in_which_they_were_taken(store):
    backend, clock = store
    with backend:
        limiter = Limiter("plan", "3/month", backend=backend).sync
        with limiter.reserve("ada", 3) as reservation:
            reservation.commit(1)
        assert limiter.stat("ada").hits_remaining == 2
        with limiter.reserve("ada", 2) as reservation:
            clock.advance(seconds=10 * 86_400)
            limiter.hit("ada", 3)
            reservation.release()
        assert limiter.stat("ada").hits_remaining == 0


def test_a_store_on_a_monotonic_clock_uses_the_calendar():
    with InMemoryBackend() as store:
        wait = Limiter("plan", "1/day tz=UTC", backend=store).sync.plan("ada", [1, 1])[1].retry_after
    midnight = -(time.time_ns() // 1000) % (24 * HOUR)
    assert abs(wait - midnight) < 60_000_000
