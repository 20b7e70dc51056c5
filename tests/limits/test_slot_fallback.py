"""Slots while the store is unavailable and the fallback counts in this process, and afterwards."""

from __future__ import annotations

import pytest

from tests.limits.distant import DistantBackend
from traffik import BackendError, Slots
from traffik.backends.resilience.failures import Failures

pytestmark = pytest.mark.anyio


class AwayBackend(DistantBackend):
    """Decides by its error policy while `away` is true."""

    def __init__(self, policy, **options):
        super().__init__(**options)
        self.failures, self.policy, self.away = Failures(policy, 1), policy, False

    def take(self, takes, kind, *, sync, back=()):
        if not self.away:
            assert all(posting.account.store is self for posting in back)
            return super().take(takes, kind, sync=sync, back=back)
        answers = [self.policy] * len(takes)
        return self._do(lambda: self.failures.take(answers, BackendError("away"), takes, kind, 1_000), sync)

    def post(self, postings, *, sync):
        assert all(posting.account.store is self for posting in postings)
        if not self.away:
            return super().post(postings, sync=sync)
        answers = [self.policy] * len(postings)
        return self._do(lambda: self.failures.post(answers, BackendError("away"), postings, 1_000), sync)

    def spare_use(self, slots):
        """The number of slots that the fallback counts."""
        account = self.failures._spare_account(self.account(slots.uid, slots.own_plan))
        (taken,) = self.failures._spare.take([(account, "shared", 1)], 2, sync=True).decisions
        return taken.limit - taken.remaining - taken.allowed


@pytest.fixture(params=["fallback", "allow", "throttle"])
def policy(request):
    return request.param


@pytest.fixture(autouse=True)
def _leases_on_the_clock(clock):
    with clock.skipping_pauses():
        yield


def slots_on(clock, policy):
    return Slots("exports", 2, backend=AwayBackend(policy, clock=clock))


async def renew(slot, clock):
    clock.advance(seconds=20)
    await slot._lease.renew()


async def test_a_slot_moves_to_the_fallback_and_back(clock):
    exports = slots_on(clock, "fallback")
    store = exports.backend
    async with exports.slot() as slot:
        store.away = True
        for _ in range(5):
            await renew(slot, clock)
            assert (slot.lost, store.spare_use(exports)) == (False, 1)
        store.away = False
        await renew(slot, clock)
        assert (slot.lost, store.spare_use(exports), (await exports.stat()).in_use) == (False, 0, 1)
    assert (await exports.stat()).in_use == 0


async def test_a_slot_of_the_fallback_is_renewed_even_if_none_is_free(clock):
    exports = slots_on(clock, "fallback")
    exports.backend.away = True
    async with exports.slot(cost=2) as slot, exports.slot() as other:
        assert (slot.decision.degraded, bool(other)) == ("fallback", False)
        for _ in range(5):
            await renew(slot, clock)
            assert not slot.lost
    assert exports.backend.spare_use(exports) == 0


async def test_a_slot_is_lost_if_its_lease_ends_before_the_store_is_back(clock):
    exports = slots_on(clock, "throttle")
    async with exports.slot() as slot:
        exports.backend.away = True
        await renew(slot, clock)
        await renew(slot, clock)
        assert not slot.lost
        await renew(slot, clock)
        assert slot.lost


async def test_with_allow_all_work_runs(clock):
    exports = slots_on(clock, "allow")
    exports.backend.away = True
    async with exports.slot(cost=2) as slot, exports.slot() as other:
        await renew(slot, clock)
        assert (bool(other), slot.lost) == (True, False)
        exports.backend.away = False
        await renew(slot, clock)
        assert (await exports.stat()).in_use == 2
    assert (await exports.stat()).in_use == 0


@pytest.mark.parametrize("still_away", [False, True])
async def test_a_slot_is_given_back_under_every_policy(clock, policy, still_away):
    exports = slots_on(clock, policy)
    async with exports.slot():
        exports.backend.away = True
    exports.backend.away = still_away
    clock.advance(seconds=60)
    async with exports.slot(cost=2) as slot:
        assert bool(slot) == (policy != "throttle" or not still_away)


async def test_a_slot_of_the_fallback_is_lost_if_the_store_has_none_left(clock):
    exports = slots_on(clock, "fallback")
    store, exports.backend.away = exports.backend, True
    async with exports.slot() as slot:
        store.away = False
        async with exports.slot(cost=2):
            await renew(slot, clock)
            assert (slot.lost, (await exports.stat()).in_use) == (True, 2)
