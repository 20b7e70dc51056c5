"""Leases: their renewal while the work runs, and what happens if they are lost."""

from __future__ import annotations

import time

import anyio
import pytest
from anyio.to_thread import run_sync as in_thread

from tests.limits.distant import DistantBackend
from traffik import BackendError, ConfigurationError, SlotLostError, Slots, notices
from traffik.limits import renewals
from traffik.limits.leases import Lease
from traffik.model.coroutines import run_sync

pytestmark = pytest.mark.anyio

PATIENCE = 10  # seconds
THIRD = 20_000_000  # µs of a third of the lease


@pytest.fixture
def store(clock):
    return DistantBackend(clock=clock)


@pytest.fixture
def exports(store):
    return Slots("exports", 2, backend=store)


@pytest.fixture
def skipping(clock):
    """Uses the virtual clock for leases."""
    with clock.skipping_pauses():
        yield


@pytest.fixture
def brief():
    """Slots whose leases are short, on a store with a real clock."""
    return Slots("brief", 1, lease="1s", backend=DistantBackend())


async def until(condition):
    for _ in range(PATIENCE * 100):
        if condition():
            return
        await anyio.sleep(0.01)
    raise AssertionError("it has not come true")


def until_sync(condition):
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


async def test_a_renewal_takes_the_slot_anew_in_one_step(exports, store, clock, skipping):
    async with exports.slot(cost=2) as slot:
        for _ in range(9):
            clock.advance(microseconds=THIRD)
            assert await slot._lease.renew() == THIRD
        assert (store.taken, store.posted) == ([0] + [1] * 9, [])
        assert await exports.stat() == (2, 0, 60_000, "traffik:exports:{shared}")
    assert ((await exports.stat()).in_use, store.posted) == (0, [-2])


async def test_a_renewal_is_admitted_even_if_no_slot_is_free(exports, clock, skipping):
    async with exports.slot() as first, exports.slot():
        clock.advance(microseconds=THIRD)
        assert await first._lease.renew() == THIRD
        assert (await exports.stat()).in_use == 2


async def test_a_slot_is_lost_if_its_store_is_unavailable_for_longer_than_the_lease(exports, store, clock, skipping):
    async with exports.slot() as slot:
        for passed in range(20, 60, 6):
            clock.now += 6_000_000 if passed > 20 else THIRD
            store.cut.append(BackendError("away"))
            assert (await slot._lease.renew(), slot.lost) == (min(6_000_000, (60 - passed) * 1_000_000), False)
        clock.advance(seconds=6)
        assert (await slot._lease.renew(), slot.lost) == (None, True)
    assert store.posted == []
    assert [notice.id for notice in notices.said()] == ["slot-lost"]


async def test_a_slot_is_renewed_if_the_store_is_back_in_time(exports, store, clock, skipping):
    async with exports.slot() as slot:
        clock.advance(microseconds=THIRD)
        store.cut.append(BackendError("away"))
        await slot._lease.renew()
        clock.advance(seconds=39)
        assert (await slot._lease.renew(), slot.lost) == (THIRD, False)
    assert (await exports.stat()).in_use == 0


async def test_a_slot_that_others_have_taken_is_lost_and_not_given_back(exports, store, clock, skipping):
    async with exports.slot() as slot:
        await exports.reset()
        clock.advance(seconds=1)
        async with exports.slot(cost=2) as other:
            assert (await slot._lease.renew(), slot.lost, other.lost) == (None, True, False)
            assert await slot._lease.renew() is None
            assert (await exports.stat()).in_use == 2
    assert store.posted == [-2]


async def test_a_renewal_is_repeated_if_its_answer_is_lost(exports, store, clock, skipping):
    async with exports.slot() as slot:
        clock.advance(microseconds=THIRD)
        store.answers_lost.append(BackendError("away", maybe_executed=True))
        assert await slot._lease.renew() == 6_000_000
        clock.advance(seconds=1)
        assert await slot._lease.renew() == THIRD
    assert store.posted == [-1]


async def test_after_a_renewal_without_an_answer_only_one_slot_is_given_back(exports, store, clock, skipping):
    async with exports.slot() as slot, exports.slot():
        clock.advance(microseconds=THIRD)
        store.answers_lost.append(BackendError("away", maybe_executed=True))
        await slot._lease.renew()
    assert store.posted == [-1]
    assert (await exports.stat()).in_use == 1  # until its lease ends
    clock.advance(seconds=60)
    assert (await exports.stat()).in_use == 0


async def test_work_that_blocks_its_event_loop_longer_than_the_lease_has_lost_its_slot(exports, clock, skipping):
    async with exports.slot() as slot:
        clock.advance(seconds=60)
    assert slot.lost


async def test_a_release_that_fails_is_no_error_and_the_slot_comes_back_after_its_lease(exports, store, clock):
    async with exports.slot():
        store.cut.append(BackendError("away"))
    assert (await exports.stat()).in_use == 1
    clock.advance(seconds=60)
    assert (await exports.stat()).in_use == 0


async def test_slots_are_renewed_while_the_work_runs(brief):
    async with brief.slot() as slot:
        await until(lambda: len(brief.backend.taken) > 4)
        assert (slot.lost, (await brief.stat()).in_use) == (False, 1)
    assert (await brief.stat()).in_use == 0


async def test_one_thread_renews_the_slots_of_all_threads(brief):
    def work():
        with brief.sync.slot() as slot, brief.sync.slot("other"):
            until_sync(lambda: len(brief.backend.taken) > 9)
            return slot.lost, brief.sync.stat().in_use

    assert await in_thread(work) == (False, 1)
    assert (await brief.stat()).in_use == 0


async def test_the_thread_ends_when_there_is_nothing_to_renew(brief, monkeypatch):
    monkeypatch.setattr(renewals, "_IDLE", 0.01)
    monkeypatch.setattr(renewals, "_thread", renewals._Renewer())
    with brief.sync.slot():
        assert renewals._thread._running
    await until(lambda: not renewals._thread._running)
    with brief.sync.slot():
        await until(lambda: len(brief.backend.taken) > 2)


def test_the_thread_forgets_slots_that_have_ended(brief):
    for _ in range(1_000):
        with brief.sync.slot():
            pass
    assert len(renewals._thread._due) <= 100


async def lose(slots):
    """Let another client take the only slot."""
    await slots.reset()
    await slots.slot().__aenter__()


async def test_a_function_is_called_if_a_slot_is_lost(brief):
    told = []

    async def tell(slot):
        told.append(slot)

    async with brief.slot(on_lost=tell) as slot:
        await lose(brief)
        await until(lambda: told == [slot])
        assert slot.lost


async def test_a_sync_function_is_called_if_a_slot_of_a_thread_is_lost(brief):
    told = []

    def work():
        with brief.sync.slot(on_lost=told.append) as slot:
            brief.sync.reset()
            with brief.sync.slot():
                until_sync(lambda: told)
        assert told == [slot]

    await in_thread(work)


async def test_work_is_cancelled_if_its_slot_is_lost(brief):
    cancelled = False

    async def work():
        nonlocal cancelled
        async with brief.slot(on_lost="cancel"):
            await lose(brief)
            try:
                await anyio.sleep(PATIENCE)
            finally:
                cancelled = True

    with pytest.raises(SlotLostError, match="a slot of 'brief' was lost"):
        await work()
    assert cancelled


async def test_work_that_keeps_its_slot_is_not_cancelled(brief):
    async with brief.slot(on_lost="cancel") as slot:
        await until(lambda: len(brief.backend.taken) > 3)
    assert not slot.lost
    with pytest.raises(LookupError):
        async with brief.slot(on_lost="cancel"):
            raise LookupError


def test_sync_work_cannot_be_cancelled(brief):
    with pytest.raises(ConfigurationError, match="sync code cannot be cancelled"):
        brief.sync.slot(on_lost="cancel")


async def test_a_function_that_fails_is_logged(brief, caplog):
    async with brief.slot(on_lost=lambda slot: 1 / 0):
        await lose(brief)
        await until(lambda: "on_lost has failed" in caplog.text)


def test_a_fork_leaves_the_slots_of_its_parent_alone(exports, monkeypatch):
    with exports.sync.slot() as slot:
        monkeypatch.setattr(slot._lease, "_process", -1)
    assert exports.sync.stat().in_use == 1
    monkeypatch.undo()
    run_sync(slot._lease.release())
    assert exports.sync.stat().in_use == 0


async def failing(lease):
    raise LookupError


async def test_a_renewal_that_fails_is_logged_and_tried_again_until_the_block_ends(exports, monkeypatch, caplog):
    slot = exports.slot()
    async with slot:
        monkeypatch.setattr(Lease, "renew", failing)
        await slot._renewal._renew()
        assert "the renewal of a slot has failed" in caplog.text
    caplog.clear()
    await slot._renewal._renew()
    assert caplog.text == ""


def test_a_renewal_of_a_thread_that_fails_is_logged_and_tried_again(exports, monkeypatch, caplog):
    with exports.sync.slot() as slot:
        monkeypatch.setattr(Lease, "renew", failing)
        assert slot._renewal.renew() == 6_000_000
    assert "the renewal of a slot has failed" in caplog.text


@pytest.mark.parametrize("on_lost", [None, lambda slot: 1 / 0])
def test_a_slot_of_a_thread_is_lost_with_or_without_a_function_that_works(exports, clock, caplog, on_lost):
    with clock.skipping_pauses(), exports.sync.slot(on_lost=on_lost) as slot:
        clock.advance(seconds=60)
        assert (slot._renewal.renew(), slot.lost) == (None, True)
    assert ("on_lost has failed" in caplog.text) is (on_lost is not None)


async def test_a_child_of_a_fork_leaves_the_slot_of_its_parent_alone(exports, monkeypatch):
    slot = await exports.slot().__aenter__()
    monkeypatch.setattr(slot._lease, "_process", -1)
    await slot.__aexit__(None, None, None)
    assert (await exports.stat()).in_use == 1
    monkeypatch.undo()
    await slot.__aexit__(None, None, None)
    await slot.__aexit__(None, None, None)  # units are given back once
    assert exports.backend.posted == [-1]
