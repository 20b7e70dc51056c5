"""Several limits and reservations while the files cannot be used, under each error policy."""

from __future__ import annotations

import pytest

from traffik import Limiter, hit_all, hit_all_sync, reserve_all
from traffik.backends.inmemory import InMemoryBackend
from traffik.backends.lmdb import LMDBBackend
from traffik.model.errors import BackendError

pytestmark = pytest.mark.anyio
LIMIT = 100


@pytest.fixture
def make_limits(directory):
    """Makes two limits on a store whose files are missing."""

    def make(on_error):
        store = LMDBBackend(directory, create=False, on_error=on_error)
        return [Limiter(f"fault:{n}", f"{LIMIT}/day", backend=store) for n in (1, 2)]

    return make


async def test_the_fallback_takes_all_or_nothing_and_settles(make_limits):
    one, two = make_limits("fallback")
    async with reserve_all("a", one, two, cost=60) as reservation:
        assert not await hit_all("a", one, two, cost=60)
        await reservation.commit(10)
    assert (await hit_all("a", one, two, cost=90)).degraded == "fallback"
    assert not await hit_all("a", one, two)


@pytest.mark.parametrize(("policy", "allowed"), [("allow", True), ("throttle", False), (lambda: "allow", True)])
async def test_a_policy_decides_for_all(make_limits, policy, allowed):
    limits = make_limits(policy)
    async with reserve_all("a", *limits, cost=60) as reservation:
        assert bool(reservation) is allowed
    assert await limits[0].take_up_to("a", 500) == 500 * allowed
    assert limits[0].backend.degraded.total() == 3


async def test_raise_raises_and_gives_back_the_units_taken_in_another_store(make_limits):
    (away, _), memory = make_limits("raise"), Limiter("fault:3", "9/day", backend=InMemoryBackend())
    for limits in ((memory, away), (away, memory)):
        with pytest.raises(BackendError):
            await hit_all("a", *limits)
    assert (await memory.stat("a")).hits_remaining == 9


async def test_memory_and_files_take_all_or_nothing(directory):
    files = Limiter("fault:1", "9/day", backend=LMDBBackend(directory))
    memory = Limiter("fault:2", "2/day", backend=InMemoryBackend())
    pairs = [(files, memory), (memory, files)] * 3
    assert sum([bool(await hit_all("a", *pair)) for pair in pairs]) == 2
    assert (await files.stat("a")).hits_remaining == 7


def test_memory_and_files_take_all_or_nothing_in_sync_code(directory):
    files = Limiter("fault:1", "2/day", backend=LMDBBackend(directory))
    memory = Limiter("fault:2", "9/day", backend=InMemoryBackend())
    pairs = [(files, memory), (memory, files)] * 3
    assert sum(bool(hit_all_sync("a", *pair)) for pair in pairs) == 2
    assert memory.sync.stat("a").hits_remaining == 7
