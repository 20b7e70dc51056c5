"""Bounds: expired keys are removed, and a full file never forgets a client that is out of quota or ends a process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from tests.backends.lmdb.conftest import divided, environment_of, keys_in
from traffik import BackendError, Decision, FixedWindow, Limiter, SlidingLog, Transition, hit_all_sync
from traffik.backends.base import Charge
from traffik.backends.lmdb import LMDBBackend, environments, files, ledger

pytestmark = pytest.mark.usefixtures("one_file")


def limiter_on(store, rate="5/s", **options):
    return Limiter("full", rate, strategy=FixedWindow(), backend=store, **options).sync


@pytest.fixture
def full(directory, clock):
    """A store with room for two keys, which holds two that are out of quota."""
    store = LMDBBackend(directory, max_keys=2, clock=clock, on_error="raise")
    for identity in ("a", "b"):
        assert limiter_on(store).hit(identity, 5).degraded is None
    return store


def test_expired_keys_are_swept_by_later_traffic(store, clock):
    limiter = limiter_on(store)
    for number in range(3000):
        limiter.hit(f"client:{number}")
    assert keys_in(store) == 3000
    clock.advance(seconds=1)
    sweeper = Limiter("sweeper", "9999/s", backend=store).sync
    for _ in range(2000):
        sweeper.hit("somebody")
    assert keys_in(store) == 1


def test_a_write_sweeps_only_a_few_keys(store, clock):
    limiter = limiter_on(store)
    for number in range(3000):
        limiter.hit(f"client:{number}")
    clock.advance(seconds=2)
    sweeper = Limiter("sweeper", "9999/s", backend=store).sync
    for _ in range(32):
        sweeper.hit("somebody")
    assert 2900 < keys_in(store) < 3000


def test_expired_keys_are_never_the_majority(store, clock):
    limiter = limiter_on(store, "1/s")
    for number in range(6000):
        clock.advance(milliseconds=1)
        limiter.hit(f"client:{number}")
    assert 1000 <= keys_in(store) <= 2100


def test_keys_in_use_are_never_swept(store, clock):
    limiter = limiter_on(store, "1000/s")
    for turn in range(1, 40):
        for number in range(20):
            assert limiter.hit(f"client:{number}").remaining == 1000 - turn
        clock.advance(milliseconds=10)


def test_a_full_file_forgets_no_client_that_is_out_of_quota(full):
    limiter = limiter_on(full)
    for number in range(3000):
        assert limiter.hit(f"client:{number}").degraded == "overflow"
    assert not limiter.hit("a")
    assert not limiter.hit("b")
    assert keys_in(full) <= 2 + 1024


def test_a_full_file_counts_new_keys_in_overflow_and_marks_their_decisions(full):
    limiter = limiter_on(full)
    decisions = [limiter.hit("c") for _ in range(6)]
    assert [decision.allowed for decision in decisions] == [True] * 5 + [False]
    assert {decision.degraded for decision in decisions} == {"overflow"}
    assert full.degraded == {"overflow": 6}


def test_keys_of_one_overflow_bucket_share_one_quota(full):
    limiter = limiter_on(full)
    admitted = sum(limiter.hit(f"client:{number}").allowed for number in range(10_000))
    assert 5 <= admitted <= 5 * 1024


def test_a_key_that_leaves_overflow_gains_no_quota(full, clock):
    limiter = limiter_on(full)
    clock.advance(milliseconds=900)
    assert limiter.hit("c", 3).degraded == "overflow"
    clock.advance(milliseconds=500)
    assert limiter.hit("c") == (True, 5, 1, 0, 500_000, limiter.check("c").rate, "overflow")
    assert limiter.hit("c", 2) == (False, 5, 1, 500_000, 500_000, limiter.check("c").rate, None)


def test_overflow_ends_once_there_is_room_again(full, clock):
    limiter = limiter_on(full)
    limiter.hit("c")
    clock.advance(seconds=2)
    assert limiter.hit("c") == (True, 5, 4, 0, 1_000_000, limiter.check("c").rate, None)


def test_checks_use_overflow_too(full):
    limiter = limiter_on(full)
    limiter.hit("c", 5)
    assert not limiter.check("c")
    assert limiter.stat("c").hits_remaining == 0


def test_resetting_a_key_in_overflow_forgets_it(full):
    limiter = limiter_on(full)
    limiter.hit("c", 5)
    limiter.reset("c")
    assert limiter.hit("c", 5)


def test_a_file_grows_as_it_fills(store):
    limiter = limiter_on(store, "5/day")
    sizes = set()
    for number in range(10_000):
        assert limiter.hit(f"client:{number}").degraded is None
        sizes.add(environment_of(store).file.size)
    assert sizes == {1 << shift for shift in range(19, 23)}
    assert not limiter.hit("client:0", 5)


def test_a_map_that_cannot_grow_counts_new_keys_in_overflow(directory, clock):
    store = LMDBBackend(directory, map_size=2 << 20, clock=clock, on_error="raise")
    limiter = limiter_on(store, "5/day")
    decisions = [limiter.hit(f"client:{number}", 5) for number in range(15_000)]
    assert {decision.degraded for decision in decisions} == {None, "overflow"}
    assert environment_of(store).file.size == 2 << 20
    assert not any(limiter.hit(f"client:{number}") for number in range(0, 15_000, 100))


def test_on_a_full_device_the_map_cannot_grow(store, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    limiter = limiter_on(store, "5/day")
    limiter.hit("ada", 5)
    monkeypatch.setattr(files, "_reserve", no_room)
    assert {limiter.hit(f"client:{number}").degraded for number in range(10_000)} == {None, "overflow"}
    assert environment_of(store).file.size == 1 << 19
    assert not limiter.hit("ada")


@pytest.fixture
def cramped(directory):
    """An open store with the smallest map, whose file cannot hold the keys of a day."""
    with LMDBBackend(directory, map_size=1 << 20) as store:
        yield store


def test_overflow_of_another_limit_admits_no_client_that_is_out_of_quota(cramped):
    login, api = limiter_on(cramped, "3/day"), Limiter("api", "3/day", strategy=FixedWindow(), backend=cramped).sync
    login.hit("mallory", 3)
    for number in range(9000):
        login.hit(f"client:{number}")
    decisions = [api.hit(f"client:{number}") for number in range(9000)]
    assert {decision.degraded for decision in decisions} <= {None, "overflow"}
    assert not login.hit("mallory")
    assert cramped._circuit.well


def test_many_limits_overflow_into_a_small_file(cramped):
    limiters = [Limiter(f"limit:{uid}", "3/day", strategy=FixedWindow(), backend=cramped).sync for uid in range(40)]
    for limiter in limiters:
        limiter.hit("mallory", 2)
    for number in range(600):
        assert {limiter.hit(f"client:{number}").degraded for limiter in limiters} <= {None, "overflow"}
    assert all(limiter.hit("mallory") for limiter in limiters)
    assert not any(limiter.hit("mallory") for limiter in limiters)


def test_limits_without_any_room_are_refused_until_there_is_room(directory, clock):
    store = LMDBBackend(directory, map_size=1 << 20, clock=clock)
    first = limiter_on(store, "3/h")
    first.hit("mallory", 3)
    uids = [f"limit:{number}" for number in range(9500)]
    decisions = [Limiter(uid, "3/min", strategy=FixedWindow(), backend=store).sync.hit("ada") for uid in uids]
    assert {decision.degraded for decision in decisions} == {None, "overflow", "unavailable"}
    assert not any(decision for decision in decisions if decision.degraded == "unavailable")
    assert not first.hit("mallory")
    clock.advance(seconds=60)
    later = Limiter("later", "1000/min", backend=store).sync
    assert [later.hit("ada").degraded for _ in range(700)][-1] is None
    assert not first.hit("mallory")


def test_a_key_whose_bucket_gets_finer_gains_no_quota(full, monkeypatch):
    limiter = limiter_on(full)
    monkeypatch.setattr(ledger, "_fits", lambda transaction, part: part <= 1 / 4)
    assert limiter.hit("c", 5).degraded == "overflow"
    assert not limiter.hit("d")
    monkeypatch.undo()
    assert not limiter.hit("c")
    limiter.reset("c")
    assert limiter.hit("c", 5)


@dataclass(frozen=True)
class Hoarder:
    """A strategy whose state does not fit into the file."""

    def decide(self, state, rate, cost, now):
        return Transition(Decision(True, rate.limit, 0), ("x" * 6_000_000,), rate.period)


def test_a_state_without_room_is_decided_by_the_error_policy(directory):
    with LMDBBackend(directory, map_size=8 << 20, on_error="throttle") as store:
        hoard = Limiter("hoard", "9/day", strategy=Hoarder(), backend=store)
        assert [hoard.sync.hit(str(number)).degraded for number in range(2)] == [None, "unavailable"]
        assert asyncio.run(hoard.hit("2")).degraded == "unavailable"
        assert limiter_on(store).hit("ada").degraded is None


def test_long_logs_are_kept_whole(store):
    limiter = Limiter("logs", "2000/day", strategy=SlidingLog(), backend=store).sync
    assert sum(limiter.hit("ada").allowed for _ in range(2010)) == 2000


@pytest.mark.parametrize("part", [object(), [1], {"a": 1}, b"x", {1}, 1j], ids=lambda part: type(part).__name__)
def test_a_state_that_cannot_be_stored_is_an_error_before_the_write(store, part):
    @dataclass(frozen=True)
    class Odd:
        def decide(self, state, rate, cost, now):
            return Transition(Decision(True, rate.limit, 0), (1, (part,)), rate.period)

    limiter = Limiter("odd", "9/day", strategy=Odd(), backend=store).sync
    with pytest.raises(TypeError, match="which cannot be stored in LMDB"):
        limiter.hit("ada")
    assert keys_in(store) == 0


@dataclass(frozen=True)
class Last:
    """A strategy that keeps a given state for ever. Its decisions have the number of calls as `remaining`."""

    leaves: tuple = ("ü", "\ud800", 1.5, None, True, (2**70, (-1,)))

    def decide(self, state, rate, cost, now):
        seen = state[0] if state else 0
        assert not state or state[1] == self.leaves
        return Transition(Decision(True, rate.limit, seen), (seen + 1, self.leaves), 2**70)


def test_a_state_is_read_as_it_was_written(store):
    limiter = Limiter("last", "9/day", strategy=Last(), backend=store).sync
    assert [limiter.hit("ada").remaining for _ in range(40)] == list(range(40))


def test_a_strategy_that_fails_leaves_the_file_free(store):
    @dataclass(frozen=True)
    class Broken:
        def decide(self, state, rate, cost, now):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Limiter("broken", "9/day", strategy=Broken(), backend=store).sync.hit("ada")
    assert limiter_on(store).hit("ada")


@pytest.mark.parametrize(
    "options", [{"max_keys": 0}, {"max_keys": True}, {"map_size": 1 << 19}, {"deadline": 0}, {"deadline": True}]
)
def test_options_out_of_their_range_are_an_error(directory, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LMDBBackend(directory, **options)


def test_errors_of_the_file_have_a_clear_message(store, monkeypatch):
    def broken(*_):
        raise OSError("no locks here")

    limiter = limiter_on(store)
    monkeypatch.setattr(environments, "lock_file", broken)
    with pytest.raises(BackendError, match="the file cannot be used: no locks here"):
        limiter.hit("ada")
    with pytest.raises(BackendError, match="the file cannot be used: no locks here"):
        asyncio.run(limiter._limit.hit("ada"))


def test_async_code_makes_a_file_grow_too(store):
    limiter = Limiter("async", "5/day", backend=store)

    async def hits():
        return {(await limiter.hit(f"client:{number}")).degraded for number in range(8000)}

    assert asyncio.run(hits()) == {None}
    assert environment_of(store).file.size > 1 << 19


def test_a_batch_makes_only_the_full_file_grow(directory, monkeypatch):
    divided(monkeypatch, 2)
    store = LMDBBackend(directory, on_error="raise")
    plan = limiter_on(store, "5/day")._limit.own_plan
    full, other = store._file_of(b"0"), store._file_of(b"d")
    keys = [key for key in map(str, range(6000)) if store._file_of(key.encode()) is full]
    for key in keys:
        store.apply_sync([Charge("full", plan, each, 1) for each in (key, "d")])
    assert (full.file.size > 1 << 19, other.file.size) == (True, 1 << 19)


def test_keys_in_overflow_are_marked_in_a_decision_of_several_limits(full):
    limits = [Limiter(uid, "5/s", strategy=FixedWindow(), backend=full) for uid in ("full", "other")]
    assert [hit_all_sync("c", *limits).degraded for _ in range(2)] == ["overflow"] * 2
    assert full.inspect_sync("full", "c") is not None


def test_a_reset_forgets_many_keys_a_few_at_a_time(store, monkeypatch):
    limiter = limiter_on(store)
    for number in range(1_000):
        limiter.hit(f"client:{number}")
    store.reset_sync("full")
    assert keys_in(store) == 0
    with pytest.raises(ValueError, match="give the uid"):
        store.reset_sync(None, "ada")
