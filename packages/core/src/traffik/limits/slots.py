"""Slots: how much work may run at once, on anything that has a name.

    exports = Slots("exports", 5, lease="60s")

    async with exports.slot("tenant:42") as slot:
        if slot:
            await export()

The limit holds over all processes that share the store. A process that dies gives its slots back when their lease ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from traffik.limits import groups, hits, uids
from traffik.limits.limit import CostOption, Limit
from traffik.limits.slot_blocks import LostOption, Slot, SyncSlot
from traffik.model.callables import Context
from traffik.model.coroutines import run_sync
from traffik.model.descriptions import describe
from traffik.model.errors import RateError
from traffik.model.rates import Rate, Time, parse_time
from traffik.strategies import SlidingLog

if TYPE_CHECKING:
    from uuid import UUID

    from traffik.backends.base import Backend

__all__ = ["Slots", "SlotsStat", "SyncSlots"]


class SlotsStat(NamedTuple):
    """The slots of one key.

    Attributes:
        in_use: how many are in use.
        free: how many are free.
        wait_ms: the longest time until at least one is free, in milliseconds, rounded up; 0 if one is free now.
        key: the partition key in the store.
    """

    in_use: int
    free: int
    wait_ms: float
    key: str


class Slots(Limit):
    """A limit on the work that runs at once. A slot that is not free is a value here, not an exception.

    Args:
        uid: names the limit, 1 to 128 characters; limits with the same uid on one store share their slots.
        limit: slots of each key, 0 to 10,000.
        lease: text such as ``"60s"`` or ``"5 min"``, or a `timedelta`. After this time the slots of a process that has
            died come back. They are renewed each third of it while the work runs, so the work may take longer. Make it
            longer than the store or the event loop may be blocked.
        backend: the store; if None, the only one that is open.
        cost: slots that a piece of work takes, or a function of the identity (and the context).
        context: passed to that function, updated with the context of the call. Each ``"scope"`` in it has its own
            slots.

    Raises:
        RateError: the limit or the lease is out of its range.
        DuplicateUidError: a different limit with this uid counts in the store given as `backend`.
        TypeError, ValueError: another argument is invalid.
    """

    subject = "identity"

    def __init__(
        self,
        uid: str,
        limit: int,
        *,
        lease: Time = "60s",
        backend: Backend | None = None,
        cost: CostOption = 1,
        context: Context | None = None,
    ) -> None:
        if type(limit) is not int:
            raise RateError(f"the limit is the number of slots, such as Slots({uid!r}, 5), not {describe(limit)}")
        rate = Rate(limit, parse_time(lease, "a lease"))
        super().__init__(uid, rate, strategy=SlidingLog(), backend=backend, cost=cost, context=context)
        uids.claim(self)
        groups.join(self)

    def slot(
        self,
        identity: str | int | UUID = "shared",
        cost: int | None = None,
        *,
        context: Context | None = None,
        wait: float | bool = False,
        on_lost: LostOption | None = None,
    ) -> Slot:
        """Hold a slot for as long as a block runs: ``async with exports.slot("tenant:42") as slot:``.

        If none is free, `slot` is false in the block, so test ``if slot:``. With `wait` this is not necessary.

        Args:
            identity: the identity that the slots belong to; if it is left out, all work shares the slots.
            cost: slots it takes, 0 to 2**31 - 1; the limit's own if None.
            context: its values override those of the limit's context.
            wait: seconds to wait for a slot at most, first come, first served in this process; True for as long as it
                takes, False to not wait. A slot that another process gives back is noticed within a second.
            on_lost: called with the slot if the lease could not be renewed in time; or ``"cancel"``, which cancels the
                block with `SlotLostError`; None to only set `Slot.lost` and give a notice.

        Raises:
            WaitTimeoutError: from the block: there was no slot within `wait` seconds.
            NeverAdmittedError: from the block, with `wait`: the cost is above the limit.
            TypeError, ValueError: an argument is none of the above.
            BackendNotFoundError: from the block: no store is open, or it is unclear which one to use.
        """
        return Slot(self, identity, cost, context, wait, on_lost, False)

    async def stat(self, identity: str | int | UUID = "shared", *, context: Context | None = None) -> SlotsStat:
        """How many slots of `identity` are in use and how many are free."""
        return await _stat(self, identity, context, False)

    async def reset(self, identity: str | int | UUID = "shared", *, context: Context | None = None) -> None:
        """Forget the slots that `identity` has in use. Work that still runs takes its slots again when it renews."""
        await hits.reset(self, identity, context, False)

    def __repr__(self) -> str:
        return f"<Slots uid={self.uid!r} limit={self.own_plan.rates[0].limit}>"

    @property
    def sync(self) -> SyncSlots:
        """The same slots for sync code."""
        return SyncSlots(self)


class SyncSlots:
    """`Slots` for sync code: the same calls, the same slots; an async function among its options is a TypeError."""

    __slots__ = ("_slots",)

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def slot(
        self,
        identity: str | int | UUID = "shared",
        cost: int | None = None,
        *,
        context: Context | None = None,
        wait: float | bool = False,
        on_lost: LostOption | None = None,
    ) -> SyncSlot:
        """As `Slots.slot`, for ``with``; `on_lost` is a sync function, called in another thread."""
        return SyncSlot(self._slots, identity, cost, context, wait, on_lost, True)

    def stat(self, identity: str | int | UUID = "shared", *, context: Context | None = None) -> SlotsStat:
        """As `Slots.stat`."""
        return run_sync(_stat(self._slots, identity, context, True))

    def reset(self, identity: str | int | UUID = "shared", *, context: Context | None = None) -> None:
        """As `Slots.reset`."""
        run_sync(hits.reset(self._slots, identity, context, True))


async def _stat(slots: Slots, identity: Any, context: Context | None, sync: bool) -> SlotsStat:
    stat = await hits.stat(slots, identity, context, sync)
    assert stat is not None  # noqa: S101 - for type checkers: a sliding log always tells what is left
    return SlotsStat(stat.rate.limit - stat.hits_remaining, stat.hits_remaining, stat.wait_ms, stat.key)
