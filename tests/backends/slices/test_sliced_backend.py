"""The store that spends slices: what reaches the store that counts, and what this process decides alone."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.backends.slices.fleets import Fleet
from tests.promises.suspending import SuspendingStore, cancelled_at
from traffik import Limiter, Rate, SlidingWindow
from traffik.backends.base import Charge
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.postings import SETTLE, TAKE, Posting
from traffik.backends.slices import SlicedBackend
from traffik.strategies import plan
from traffik.testing import ComposingContract, VirtualClock

LIMIT, PERIOD = 400, 1_000_000


class TestContract(ComposingContract):
    def make(self, *, namespace, clock):
        return SlicedBackend(InMemoryBackend(namespace=namespace, clock=clock), clock=clock)


@pytest.fixture
def fleet():
    """Two processes, of which the first has slices of the key."""
    fleet = Fleet(SlidingWindow(), Rate(LIMIT, PERIOD), 2)
    for _ in range(40):
        fleet.hit(0)
    return fleet


@pytest.fixture
def process(fleet):
    return fleet.processes[0]


def unused(fleet):
    """The units that the store has left, by a process without slices."""
    return Limiter("fleet", fleet.rate, backend=SlicedBackend(fleet.store, share=0.05, life=0.1)).sync.stat("hot")[0]


def test_most_hits_on_a_hot_key_do_not_reach_the_store(fleet, process):
    before = process.link.calls
    assert all(fleet.hit(0) for _ in range(80))
    assert process.link.calls - before < 10


def test_each_hit_on_a_cold_key_reaches_the_store(process):
    before = process.link.calls
    for number in range(50):
        process.limiter.hit(f"client {number % 20}")
    assert process.link.calls - before == 50


def test_a_process_refuses_as_long_as_the_store_announced(fleet, process):
    while fleet.hit(0):
        pass
    before = process.link.calls
    waits = [process.limiter.hit("hot").retry_after for _ in range(50)]
    assert process.link.calls - before < 5
    fleet.clock.advance(seconds=(waits[-1] - 1) / 1e6)
    assert not fleet.hit(0)
    fleet.clock.advance(seconds=1e-6)
    assert fleet.hit(0)


def test_check_and_stat_count_the_units_of_this_process(fleet, process):
    assert process.limiter.stat("hot").hits_remaining == LIMIT - 40
    assert unused(fleet) < LIMIT - 40
    assert [bool(process.limiter.check("hot", cost)) for cost in (1, LIMIT - 40, LIMIT - 39)] == [True, True, False]
    assert all(fleet.hit(0) for _ in range(LIMIT - 40))


def test_a_large_cost_uses_the_units_of_this_process(fleet, process):
    while fleet.hit(1):
        pass
    left = process.limiter.stat("hot").hits_remaining
    assert left > 4
    assert [process.hit(cost) for cost in (left + 1, left, 1)] == [False, True, False]


def test_units_of_a_slice_that_has_ended_are_given_back_with_the_next_call(fleet, process):
    assert unused(fleet) < LIMIT - 40
    fleet.clock.advance(seconds=0.1)
    process.limiter.hit("another key")
    assert unused(fleet) == LIMIT - 40


def test_units_are_given_back_at_the_end(fleet, process):
    process.backend.close_sync()
    assert unused(fleet) == LIMIT - 40


def test_a_reset_forgets_slices_too(fleet, process):
    process.limiter.reset("hot")
    assert sum(fleet.hit(0) for _ in range(2 * LIMIT)) == LIMIT


def test_a_slice_is_spent_while_the_store_does_not_answer(fleet, process):
    left = process.limiter.stat("hot").hits_remaining - unused(fleet)
    process.link.cut = True
    assert [fleet.hit(0) for _ in range(left + 3)] == [True] * left + [False] * 3
    process.link.cut = False
    assert fleet.hit(0)


def test_a_slice_is_not_spent_after_its_end(fleet, process):
    process.link.cut = True
    fleet.clock.advance(seconds=0.1)
    assert not fleet.hit(0)


def test_a_child_process_has_no_slices(fleet, process):
    child = os.fork()
    if child == 0:
        process.link.cut = True
        os._exit(fleet.hit(0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    process.link.cut = True
    assert fleet.hit(0)


def test_units_can_be_reserved_and_refunded_beside_slices(fleet, process):
    with process.limiter.reserve("hot", 100) as reservation:
        reservation.commit(50)
    process.limiter.refund("hot", 10)
    assert sum(fleet.hit(0) for _ in range(LIMIT)) == LIMIT - 40 - 50 + 10


def test_a_lower_limit_counts_what_slices_have_spent(fleet, process):
    process.whole.update(rate=Rate(LIMIT // 2, PERIOD))
    assert LIMIT // 2 - 40 - 20 <= sum(fleet.hit(0) for _ in range(LIMIT)) <= LIMIT // 2 - 40


def test_a_change_for_all_processes_is_kept_in_the_store_that_counts(fleet):
    one, other = (SlicedBackend(fleet.store) for _ in range(2))
    assert one.record.swap(None, b"changes")
    assert (other.record.load(), fleet.store.record.load()) == (b"changes", b"changes")


def test_threads_share_the_slices_of_their_process(fleet, process):
    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(lambda _: process.hit(), range(2 * LIMIT)))
    assert admitted == LIMIT - 40


class SuspendingLink(SuspendingStore):
    """A store whose charges suspend too."""

    def prepare(self, uid, plan, *, sync):
        calls = InMemoryBackend.prepare(self, uid, plan, sync=True)

        async def charge(key, cost):
            return await self._slowly(lambda: calls.charge(key, cost))

        return replace(calls, charge=charge)


def test_a_cancelled_hit_loses_no_slice():
    clock = VirtualClock()
    limiter = Limiter("cancelled", f"{LIMIT}/day", backend=SlicedBackend(SuspendingLink(clock=clock), share=0.05))
    asyncio.run(cancel_hits(limiter))


async def cancel_hits(limiter):
    for number in range(120):
        await cancelled_at(limiter.hit("hot"), number // 10)
    left = (await limiter.stat("hot")).hits_remaining
    assert left >= LIMIT - 120
    decisions = await asyncio.gather(*(limiter.hit("hot") for _ in range(LIMIT)))
    assert sum(map(bool, decisions)) == left


@pytest.mark.parametrize("options", [{"share": 0}, {"share": 0.2}, {"life": True}, {"life": "1s"}, {"life": 0.11}])
def test_parts_out_of_range_are_rejected(options):
    with pytest.raises(ValueError, match=r"is a number above 0 and at most 0\.1, not"):
        SlicedBackend(InMemoryBackend(), **options)


def test_slices_are_taken_from_a_store_that_counts():
    for store in ("redis://localhost", SlicedBackend(InMemoryBackend())):
        with pytest.raises(TypeError, match="slices are taken from a store such as"):
            SlicedBackend(store)
    with pytest.raises(TypeError, match="a clock is a function"):
        SlicedBackend(InMemoryBackend(), clock=5)


def test_what_uses_no_slices_is_asked_of_the_store():
    clock = VirtualClock()
    store = SlicedBackend(InMemoryBackend(clock=clock), clock=clock)
    by = plan(SlidingWindow(), (Rate(LIMIT, PERIOD),))
    charges = [Charge("api", by, "ada", 1)]
    decisions = [*store.apply_sync(charges), *asyncio.run(store.apply(charges))]
    account = store.account("api", by)
    decisions += store.take([(account, "ada", 1)], TAKE, sync=True).decisions
    (posted,) = store.post([Posting(SETTLE, account, "ada", 3)], sync=True)
    left = [each.remaining for each in (*decisions, posted.decision)]
    assert left == [LIMIT - 1, LIMIT - 2, LIMIT - 3, LIMIT - 6]
    assert (store.spared, store.may_answer_unavailable) == (store.store.spared, False)
