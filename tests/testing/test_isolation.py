"""Fresh quotas and a virtual clock for tests of applications, and the pytest plugin."""

from __future__ import annotations

import time

import pytest

from traffik import DuplicateUidError, Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock, fresh_quota, use_clock, wall_clock


@pytest.fixture
def mails():
    """A limit of an application, on a store that the test cannot reach."""
    with InMemoryBackend():
        yield Limiter("mails", "1/min").sync


def test_quota_is_whole_again(mails):
    for _ in range(2):
        assert (bool(mails.hit("ada")), bool(mails.hit("ada"))) == (True, False)
        fresh_quota()


def test_fresh_quota_applies_to_a_store_that_was_never_opened():
    store = InMemoryBackend()
    limiter = Limiter("mails", "1/min", backend=store).sync
    limiter.hit("ada")
    fresh_quota()
    assert limiter.hit("ada")


@pytest.mark.parametrize("named", [True, False])
def test_the_next_test_may_give_a_uid_another_rate(named):
    kept = []
    with InMemoryBackend() as store:
        for limit in (1, 2):
            fresh_quota()
            kept.append(Limiter("kept", f"{limit}/min", backend=store if named else None).sync)
            assert [bool(kept[-1].hit("ada")) for _ in range(3)].count(True) == limit
        with pytest.raises(DuplicateUidError):
            kept[0].hit("ada")


def test_stores_use_the_given_clock(mails):
    with use_clock(VirtualClock()) as clock:
        assert (bool(mails.hit("ada")), bool(mails.hit("ada"))) == (True, False)
        clock.advance(seconds=120)
        assert mails.hit("ada")
    assert mails.hit("ada")


def test_stores_made_in_the_context_use_the_clock():
    with use_clock(VirtualClock()) as clock:
        store = InMemoryBackend()
        limiter = Limiter("mails", "1/min", backend=store).sync
        limiter.hit("ada")
        clock.advance(seconds=120)
        assert limiter.hit("ada")
    assert store._clock is time.monotonic_ns


def test_a_store_keeps_the_clock_it_was_given():
    own = VirtualClock()
    limiter = Limiter("mails", "1/min", backend=InMemoryBackend(clock=own)).sync
    with use_clock(VirtualClock()) as clock:
        limiter.hit("ada")
        clock.advance(seconds=120)
        assert not limiter.hit("ada")
        own.advance(seconds=120)
        assert limiter.hit("ada")


def test_contexts_with_clocks_can_be_nested(mails):
    with use_clock(VirtualClock()) as outer, use_clock(VirtualClock()) as inner:
        mails.hit("ada")
        outer.advance(seconds=120)
        assert not mails.hit("ada")
        inner.advance(seconds=120)
        assert mails.hit("ada")


def test_an_object_that_is_no_clock_is_an_error():
    with pytest.raises(TypeError, match=r"a clock is a function .*, not 5"), use_clock(5):
        pass


def test_the_wall_clock_has_the_current_time(monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 42)
    assert wall_clock() == 42
