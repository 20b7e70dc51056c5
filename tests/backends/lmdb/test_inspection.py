"""Inspection of the files: the state of one key, and the keys of one throttle."""

from __future__ import annotations

import marshal
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.backends.lmdb.conftest import keys_in, reopened
from traffik import BackendError, BackendTimeoutError, FixedWindow, Limiter
from traffik.backends.base import Charge
from traffik.backends.inspection import InspectableBackend, KeyPage, StoredState
from traffik.backends.lmdb import LMDBBackend, backend, inspection
from traffik.model.keys import local_key
from traffik.model.rates import parse_rates
from traffik.strategies import plan


def limiter_on(store, uid="looks", rate="5/s"):
    return Limiter(uid, rate, strategy=FixedWindow(), backend=store).sync


def charged(store, scope, identity):
    """Use some quota of a client; its local key."""
    key = local_key(scope, identity)
    store.apply_sync([Charge("looks", plan(FixedWindow(), parse_rates("5/s")), key, 1)])
    return key


def listed(store, uid="looks", most=1000):
    found = store.list_keys_sync(uid, most)
    return found._replace(keys=sorted(found.keys))


def test_the_store_can_be_inspected(store):
    assert isinstance(store, InspectableBackend)


def test_a_state_is_shown_with_its_time_to_live(store, clock):
    limiter_on(store).hit("ada", 2)
    clock.advance(milliseconds=300)
    held = store.inspect_sync("looks", "ada")
    assert held.ttl == 700_000
    assert marshal.loads(held.value)
    limiter_on(store).hit("ada")
    assert store.inspect_sync("looks", "ada").value != held.value


def test_inspection_changes_nothing(store):
    limiter_on(store).hit("ada", 2)
    assert store.inspect_sync("looks", "ada") == store.inspect_sync("looks", "ada")
    store.list_keys_sync("looks", 10)
    store.inspect_sync("looks", "nobody")
    assert (keys_in(store), limiter_on(store).stat("ada").hits_remaining) == (1, 3)


def test_a_client_that_has_used_nothing_has_no_state(store):
    limiter_on(store, "other").hit("ada")
    assert store.inspect_sync("looks", "ada") == StoredState(None, None)
    assert store.list_keys_sync("looks", 10) == KeyPage([], True)


def test_expired_states_are_neither_shown_nor_listed(store, clock):
    limiter_on(store).hit("ada")
    clock.advance(seconds=1)
    limiter_on(store).hit("bob")
    assert store.inspect_sync("looks", "ada") == StoredState(None, None)
    assert store.list_keys_sync("looks", 10) == KeyPage(["bob"], True)
    assert keys_in(store) == 2


def test_only_keys_of_one_throttle_and_namespace_are_listed(store, directory, clock):
    limiter_on(store).hit("ada")
    limiter_on(store, "other").hit("bob")
    limiter_on(LMDBBackend(directory, namespace="elsewhere", clock=clock)).hit("eve")
    assert store.list_keys_sync("looks", 10) == KeyPage(["ada"], True)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 300])
def test_every_key_is_listed_once_over_several_pages(store, monkeypatch, count):
    monkeypatch.setattr(inspection, "_PAGE", 8)
    names = [f"client:{number}" for number in range(count)]
    for name in names:
        limiter_on(store).hit(name)
    assert listed(store) == KeyPage(sorted(names), True)


@pytest.mark.parametrize(("most", "complete"), [(1, False), (39, False), (40, True), (41, True)])
def test_a_page_has_at_most_the_requested_number_and_says_that_it_is_cut(store, most, complete):
    names = {f"client:{number}" for number in range(40)}
    for name in names:
        limiter_on(store).hit(name)
    found = store.list_keys_sync("looks", most)
    assert (len(found.keys), len(set(found.keys) & names), found.complete) == (min(most, 40), min(most, 40), complete)


def test_scopes_are_listed_with_their_keys(store):
    key = charged(store, "tenant", "ada")
    assert store.list_keys_sync("looks", 10) == KeyPage([key], True)
    assert store.inspect_sync("looks", key).value is not None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(names=st.sets(st.text(st.characters(), max_size=50), max_size=12))
def test_any_text_is_listed_unchanged(store, names):
    store.reset_sync()
    for name in names:
        limiter_on(store).hit(name)
    assert listed(store) == KeyPage(sorted(local_key(None, name) for name in names), True)


def test_very_long_keys_are_counted_without_names(store):
    (long, _) = [charged(store, letter * 128, "ada" * 30) for letter in "üé"]
    limiter_on(store).hit("ada")
    assert store.list_keys_sync("looks", 10) == KeyPage(["ada"], True, unnamed=2)
    assert store.inspect_sync("looks", long).value is not None


@pytest.mark.usefixtures("one_file")
def test_a_key_in_overflow_has_the_state_of_its_bucket_and_no_name(directory, clock):
    store = LMDBBackend(directory, max_keys=1, clock=clock, on_error="raise")
    for name in ("ada", "bob"):
        limiter_on(store).hit(name, 5)
    held = store.inspect_sync("looks", "bob")
    assert held == store.inspect_sync("looks", "ada") == StoredState(held.value, 1_000_000)
    assert store.list_keys_sync("looks", 10) == KeyPage(["ada"], True, unnamed=1)
    clock.advance(seconds=1)
    assert store.inspect_sync("looks", "bob") == StoredState(None, None)


def test_a_durable_store_is_inspected_on_its_own_clock(directory, clock):
    store = LMDBBackend(directory, durable=True, clock=clock, on_error="raise")
    limiter_on(store).hit("ada")
    assert store.inspect_sync("looks", "ada").ttl == 1_000_000


def test_a_file_that_stays_busy_is_an_error_and_not_an_empty_answer(store, monkeypatch):
    limiter_on(store).hit("ada")
    monkeypatch.setattr(backend, "_PATIENCE", 0.01)
    with store._file_of(b"ada").lock:
        failed = in_a_thread(lambda: store.inspect_sync("looks", "ada"), lambda: store.list_keys_sync("looks", 10))
    assert [type(error) for error in failed] == [BackendTimeoutError, BackendTimeoutError]


def in_a_thread(*calls):
    """Make calls in another thread; what each of them raised."""
    raised = []

    def run():
        for call in calls:
            try:
                call()
            except BackendError as error:
                raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


def test_keys_that_change_during_a_listing_leave_the_others_listed_once(store, directory, clock, monkeypatch):
    monkeypatch.setattr(inspection, "_PAGE", 8)
    limiter, other = limiter_on(store), limiter_on(LMDBBackend(directory, clock=clock, on_error="raise"))
    stays = [f"stays:{number}" for number in range(200)]
    for name in stays:
        limiter.hit(name)
    read, counter = store._run_in, iter(range(10_000))

    def disturbed(*arguments):
        number = next(counter)
        other.hit(f"comes:{number}")
        other.reset(f"comes:{number - 3}")
        return read(*arguments)

    monkeypatch.setattr(store, "_run_in", disturbed)
    found = store.list_keys_sync("looks", 1000)
    assert sorted(key for key in found.keys if key.startswith("stays")) == sorted(stays)
    assert len(found.keys) == len(set(found.keys))


def test_a_new_process_lists_the_same_keys(store, directory):
    limiter_on(store).hit("ada")
    before = store.inspect_sync("looks", "ada"), store.list_keys_sync("looks", 10)
    reopened(directory)
    assert before == (store.inspect_sync("looks", "ada"), store.list_keys_sync("looks", 10))
