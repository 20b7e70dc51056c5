"""Changing the rate of a limit in all processes that count in one store."""

from __future__ import annotations

import json
import logging
import time

import pytest

from traffik import (
    BackendNotFoundError,
    ConfigurationError,
    Limiter,
    RateError,
    subscribe_changes,
)
from traffik.backends import records
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.limits import change_records
from traffik.limits.changes import change_in_force, change_in_store, changes_in
from traffik.strategies import FixedWindow
from traffik.testing.stores import every_strategy

PATIENCE = 10


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "quota"


@pytest.fixture(params=["memory", "lmdb"])
def store(request, clock, directory):
    with InMemoryBackend(clock=clock) if request.param == "memory" else made(directory, clock) as store:
        yield store


def made(directory, clock, **options):
    """A store of another process, as far as changes are concerned."""
    return LMDBBackend(directory, clock=clock, on_error="raise", **{"changes_within": 0.02, **options})


@pytest.fixture
def pair(directory, clock):
    """The same limiter in two stores with the same files, of which the second follows the first."""
    with made(directory, clock) as one, made(directory, clock) as other:
        yield Limiter("api", "2/min", backend=one), Limiter("api", "2/min", backend=other)


def left(limiter):
    return limiter.sync.stat("ada").hits_remaining


class TestOneProcess:
    @pytest.mark.anyio
    async def test_a_change_counts_at_once_and_is_withdrawn(self, store):
        api = Limiter("api", "2/min", backend=store)
        await api.hit("ada")
        change = await api.update_everywhere(rate="5/min", by="ops", reason="sale")
        assert (left(api), change[:6]) == (4, ("api", 1, "5/min", "2/min", "ops", "sale"))
        back = await api.update_everywhere(rate=None)
        assert (left(api), back[:4]) == (1, ("api", 2, None, "5/min"))
        assert await api.changes() == [back, change]

    def test_limits_made_later_begin_with_it(self, store):
        change_in_store(store, "api", "5/min")
        assert left(Limiter("api", "2/min", backend=store)) == 5

    def test_other_stores_and_namespaces_are_left_alone(self, store, directory, clock):
        change_in_store(store, "api", "5/min")
        with InMemoryBackend() as other, made(directory, clock, namespace="b") as third:
            assert [left(Limiter("api", "2/min", backend=each)) for each in (other, third)] == [2, 2]

    def test_it_goes_before_an_update_until_it_is_withdrawn(self, store):
        api = Limiter("api", "2/min", backend=store)
        api.sync.update_everywhere(rate="5/min")
        api.update(rate="3/min")
        assert left(api) == 5
        api.sync.update_everywhere(rate=None)
        assert left(api) == 3

    def test_a_reset_keeps_it(self, store):
        api = Limiter("api", "2/min", backend=store)
        api.sync.update_everywhere(rate="5/min")
        store.reset_sync()
        assert (left(api), len(api.sync.changes())) == (5, 1)

    def test_the_last_50_changes_are_listed(self, store):
        for number in range(1, 61):
            change_in_store(store, f"limit:{number % 2}", f"{number}/min")
        assert [change.version for change in changes_in(store)] == list(range(60, 10, -1))
        assert [change.rate for change in changes_in(store, "limit:1")][:2] == ["59/min", "57/min"]

    def test_the_other_limits_with_the_uid_change_too_and_need_no_uid_of_their_own(self, store):
        one = Limiter("api", "2/min", backend=store)
        one.sync.update_everywhere(rate="5/min")
        two = Limiter("api", "2/min", backend=store)
        assert [bool(each.sync.hit("ada")) for each in (one, two) * 3] == [True] * 5 + [False]


@every_strategy
class TestUsage:
    def test_lowering_a_limit_grants_no_fresh_quota(self, store, strategy):
        api = Limiter("api", "10/day", strategy=strategy, backend=store)
        api.sync.hit("ada", 6)
        api.sync.update_everywhere(rate="5/day")
        assert not api.sync.hit("ada")

    def test_raising_a_limit_keeps_no_client_out_for_longer(self, store, strategy):
        api = Limiter("api", "10/day", strategy=strategy, backend=store)
        api.sync.hit("ada", 10)
        before = api.sync.check("ada").retry_after
        api.sync.update_everywhere(rate="1000/day")
        assert api.sync.check("ada").retry_after <= before

    def test_withdrawing_a_change_grants_no_fresh_quota(self, store, strategy):
        api = Limiter("api", "5/day", strategy=strategy, backend=store)
        api.sync.update_everywhere(rate="50/day")
        api.sync.hit("ada", 30)
        api.sync.update_everywhere(rate=None)
        assert not api.sync.hit("ada")


class TestSeveralProcesses:
    def test_the_others_follow_and_say_so(self, pair, caplog):
        caplog.set_level(logging.INFO, "traffik.limits")
        one, other = pair
        events = []
        with subscribe_changes(events.append, limit="ap*") as subscription:
            made = one.sync.update_everywhere(rate="9/min", by="ops", reason="sale")
            until(lambda: left(other) == 9)
            assert subscription.flush(PATIENCE)
        assert events[0] == made
        assert "the rate of 'api' is now 9/min instead of 2/min (change 1 by ops: sale)" in caplog.text

    def test_of_two_changes_at_once_one_counts_everywhere(self, pair, directory, clock):
        one, other = pair
        for rate in ("7/min", "8/min", "9/min"):
            one.sync.update_everywhere(rate=rate)
            last = other.sync.update_everywhere(rate=f"1{rate}")
        until(lambda: left(one) == left(other) == 19)
        assert (last.version, last.before) == (6, "9/min")
        with made(directory, clock) as late:
            assert left(Limiter("api", "2/min", backend=late)) == 19

    def test_a_store_that_was_not_opened_follows_from_its_first_hit(self, pair, directory, clock):
        one, _ = pair
        store = made(directory, clock)
        limiter = Limiter("api", "2/min", backend=store)
        one.sync.update_everywhere(rate="9/min")
        assert limiter.sync.hit("ada")
        until(lambda: left(limiter) == 8)
        store.close_sync()

    def test_a_process_that_does_not_follow_stays_as_it_is(self, pair, directory, clock):
        with made(directory, clock, changes_within=None) as store:
            one, limiter = pair[0], Limiter("api", "2/min", backend=store)
            one.sync.update_everywhere(rate="9/min")
            until(lambda: left(pair[1]) == 9)
            assert left(limiter) == 2


class TestABadRecord:
    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (b"\xff", "cannot be read"),
            (b"[]", "not an object with a format"),
            (b'{"format":1,"version":1,"in_force":[["api",1,5,null,"","",0]],"recent":[]}', "another type"),
            (b'{"format":9}', "they have format 9, which another version of traffik has written"),
        ],
    )
    def test_changes_nothing_and_is_logged_once(self, pair, value, why, caplog):
        one, other = pair
        before = one.backend.record.load()
        assert one.backend.record.swap(before, value)
        until(lambda: caplog.text.count("the limits stay as they were") == 2)  # once in each of the two stores
        assert why in caplog.text
        assert [left(one), left(other)] == [2, 2]

    @pytest.mark.parametrize(
        ("limit", "rate", "why"),
        [
            ({"rate": "2/min", "strategy": FixedWindow()}, "5/day tz=Europe/Berlin; 3/parsec", "parsec"),
            ({"rate": lambda identity: "2/min"}, "5/min", "comes from a function"),
        ],
    )
    def test_a_limit_that_cannot_follow_stays_as_it_is(self, store, limit, rate, why, caplog):
        api = Limiter("api", backend=store, **limit)
        written = f'{{"format":1,"version":1,"in_force":[["api",1,"{rate}",null,"","",0]],"recent":[]}}'
        store.record.swap(None, written.encode())
        assert left(api) == 2
        assert caplog.text.count("cannot follow change 1") == 1
        assert why in caplog.text

    def test_a_limit_whose_store_is_unclear_stays_as_it_is(self, store, caplog):
        api = Limiter("api", "2/min")
        with InMemoryBackend():
            change_in_store(store, "api", "5/min")
            assert api.own_plan.capacity == 2
        assert "several stores are open, and it has no backend" in caplog.text

    def test_the_next_change_replaces_an_unreadable_one_but_none_of_another_version(self, store):
        store.record.swap(None, b"rubbish")
        with pytest.raises(ConfigurationError, match="the next change replaces them"):
            changes_in(store)
        assert change_in_store(store, "api", "5/min").version == 1
        store.record.swap(store.record.load(), b'{"format":2}')
        with pytest.raises(ConfigurationError, match="use that version here too"):
            change_in_store(store, "api", "6/min")


class TestBadArguments:
    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"rate": "5"}, RateError, "write"),
            ({"rate": lambda: "5/min"}, ConfigurationError, "comes from a function"),
            ({"rate": "5/min", "by": 5}, TypeError, "by is text, not 5"),
            ({"rate": "5/min", "reason": "x" * 501}, ValueError, "up to 500 characters"),
        ],
    )
    def test_change_nothing(self, store, options, error, words):
        api = Limiter("api", "2/min", backend=store)
        with pytest.raises(error, match=words):
            api.sync.update_everywhere(**options)
        assert store.record.load() is None

    def test_a_limit_needs_a_store(self):
        with pytest.raises(BackendNotFoundError):
            Limiter("api", "2/min").sync.update_everywhere(rate="5/min")

    def test_a_bounded_number_of_limits_is_changed_at_a_time(self, clock, monkeypatch):
        monkeypatch.setattr(change_records, "MOST_IN_FORCE", 3)
        store = InMemoryBackend(clock=clock)
        for number in range(3):
            change_in_store(store, str(number), "5/min")
        with pytest.raises(ConfigurationError, match="withdraw some of these changes first"):
            change_in_store(store, "one more", "5/min")

    @pytest.mark.parametrize("within", [0, -1, True, "2"])
    def test_the_time_to_follow_is_a_number_of_seconds(self, within):
        with pytest.raises(ValueError, match="changes_within is a number of seconds above 0, or None"):
            LMDBBackend(changes_within=within)


def test_of_two_changes_at_once_none_is_lost(store, monkeypatch):
    others, load = ["mails"], store.record.load

    def load_while_another_changes():
        found = load()
        while others:
            change_in_store(store, others.pop(), "1/min")
        return found

    monkeypatch.setattr(store.record, "load", load_while_another_changes)
    change_in_store(store, "api", "2/min")
    assert [change.uid for change in changes_in(store)] == ["api", "mails"]
    assert (change_in_force(store, "mails").rate, change_in_force(store, "none")) == ("1/min", None)


def test_each_change_that_a_limit_cannot_follow_is_logged_once(clock, caplog):
    store = InMemoryBackend(clock=clock)
    limiter = Limiter("api", lambda identity: "2/min", backend=store)
    for rate in ("3/min", "4/min"):
        change_in_store(store, "api", rate)
        assert limiter.sync.hit("ada")
    assert [each for each in caplog.messages if "cannot follow change" in each] == caplog.messages
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("rest", [{}, {"in_force": [["api", 1]], "recent": []}, {"in_force": [[1] * 7], "recent": []}])
def test_a_record_without_changes_is_an_error(rest):
    with pytest.raises(ValueError, match="change"):
        change_records.ChangeRecord.read(json.dumps({"format": 1, "version": 1, **rest}).encode())


def test_a_limit_that_cannot_follow_does_not_keep_others_from_it(store, caplog, monkeypatch):
    monkeypatch.setattr(records, "_readers", [lambda store, value: 1 / 0, *records._readers])
    limiter = Limiter("api", "2/min", backend=store)
    change_in_store(store, "api", "5/min")
    assert (left(limiter), "could not be followed" in caplog.text) == (5, True)
