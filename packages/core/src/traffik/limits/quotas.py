"""The calls of throttles and limiters besides hit and check: reserve, refund, charge, take what is left, plan ahead.

Each is written once for async and sync code; see `traffik.limits.settling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from traffik.limits import changes, settling
from traffik.limits.combinations import Hit, combination_of
from traffik.limits.limit import Limit
from traffik.limits.reservations import Reservation, SyncReservation
from traffik.limits.shadows import ShadowReport
from traffik.limits.slot_blocks import LostOption, Slot, SyncSlot
from traffik.limits.tiers import Tiers
from traffik.model.callables import check_context
from traffik.model.coroutines import run_sync
from traffik.model.costs import check_cost
from traffik.model.decisions import ADMITTED, SettledDecision

if TYPE_CHECKING:
    from traffik.events.changes import RateChange
    from traffik.model.callables import Context
    from traffik.model.decisions import Decision
    from traffik.model.rates import Rates

__all__ = ["QuotaLimit", "SyncQuotaLimit"]


class QuotaLimit(Limit):
    """A base class: a limit whose units can also be reserved, refunded and charged."""

    def reserve(
        self, subject: Any, cost: int | None = None, *, context: Context | None = None, keep_on_error: bool = False
    ) -> Reservation:
        """Take an estimate before the work, and settle it afterwards: ``async with throttle.reserve(request, 500)``.

        If the estimate is refused, a throttle rejects the connection as `hit` does; the reservation of a limiter, or of
        a WebSocket that has been sent a message, is false.

        Args:
            subject: the connection, or the identity of a limiter.
            cost: the estimate, 0 to 2**31 - 1 units; the limit's own cost if None.
            context: its values override those of the limit's context.
            keep_on_error: keep the estimate if the block raises, instead of giving it back.

        Raises:
            ConfigurationError: the strategy cannot settle, or the store cannot.
        """
        return Reservation(combination_of((self,)), subject, cost, context, keep_on_error)

    def slot(
        self,
        subject: Any,
        cost: int | None = None,
        *,
        context: Context | None = None,
        wait: float | bool = False,
        on_lost: LostOption | None = None,
    ) -> Slot:
        """Hold `cost` units for as long as a block runs: ``async with throttle.slot(request) as slot:``.

        The limit bounds the work that runs at once. Its strategy is `SlidingLog`, and its period is the length of a
        lease: the time after which the units of a process that has died come back. The lease is renewed while the block
        runs, so the work may take longer.

        If the units are not free, a throttle rejects the connection as `hit` does; the slot of a limiter, or of a
        WebSocket that has been sent a message, is false.

        Args:
            subject: the connection, or the identity of a limiter.
            cost: 0 to 2**31 - 1 units; the limit's own cost if None.
            context: its values override those of the limit's context.
            wait: seconds to wait for the units at most, first come, first served in this process; True for as long as
                it takes, False to not wait.
            on_lost: called with the slot, or as ``"cancel"`` cancels the block with `SlotLostError`, if the lease could
                not be renewed in time; None to only set `Slot.lost` and give a notice.

        Raises:
            WaitTimeoutError, NeverAdmittedError: from the block of a limiter that waits; a throttle rejects instead.
            ConfigurationError: the strategy is another one, or the store cannot settle.
        """
        return Slot(self, subject, cost, context, wait, on_lost, False)

    async def refund(self, subject: Any, cost: int, *, context: Context | None = None) -> SettledDecision:
        """Give back up to `cost` units of the newest hits, never more than they have taken.

        Use a reservation where you can: it knows which units are its own.

        Returns:
            What is left then. Its `units` are those that were given back, as a number below 0.
        """
        return await _settled(self, subject, -check_cost(cost), context, False)

    async def charge(self, subject: Any, cost: int, *, context: Context | None = None) -> SettledDecision:
        """Charge `cost` units in any case, for work that is done; later waits are longer if the limit is exceeded.

        Returns:
            What is left then. Its `units` are those that were charged: at most one limit above the capacity.
        """
        return await _settled(self, subject, check_cost(cost), context, False)

    async def take_up_to(self, subject: Any, most: int, *, context: Context | None = None) -> int:
        """Take the units that are left, up to `most`, in one step. Returns how many; 0 if there are none."""
        return await settling.take_up_to(Hit(self), subject, most, context, False)

    async def plan(self, subject: Any, costs: Sequence[int], *, context: Context | None = None) -> list[Decision]:
        """The decisions for hits of these costs, one after another, without other hits. Takes nothing.

        Returns:
            A decision for each: true if there is no wait, else with the wait from now, as `wait_ms` or `wait_seconds`.
        """
        return await settling.foresee(Hit(self), subject, costs, context, False)

    def update(self, *, rate: Rates | Tiers) -> None:
        """Count by another rate from the next hit on, in this process. What clients have used stays used.

        Lowering a limit never grants fresh quota, and raising one keeps no client out for longer. All limits of this
        process with the same uid and definition change together. A rate set by `update_everywhere` stays in force until
        it is withdrawn.

        Args:
            rate: the new rate; text, a `Rate` or several, or `Tiers` for a limit that has tiers. Nothing is changed if
                it is not one.

        Raises:
            RateError: it is not a rate, or the strategy cannot count it exactly.
            ConfigurationError: the limit has a rate function.
        """
        changes.change_rate(self, rate)

    async def update_everywhere(self, *, rate: Rates | None, by: str = "", reason: str = "") -> RateChange:
        """Count by another rate in all processes that count in the same store. What clients have used stays used.

        This process counts by it when the call returns. The others follow within the `changes_within` of their store, 2
        seconds by default. Processes that start later begin with it. Until it is withdrawn, it overrides the rate in
        the code and in `limits.toml`.

        Args:
            rate: the new rate; text, a `Rate` or several. None withdraws the change, so that each process returns to
                the rate that it gives the limit.
            by: who makes the change, for the list of changes, up to 500 characters.
            reason: the reason, also up to 500 characters.

        Returns:
            The change with its version. Of two changes at once, the one with the higher version counts everywhere.

        Raises:
            RateError: it is not a rate, or the strategy cannot count it exactly.
            ConfigurationError: the limit has a rate function, or its store cannot keep changes.
            BackendNotFoundError: no store is open, or it is unclear which one to use.
            BackendError: the store does not answer. The change may have been made.
        """
        return await changes.in_thread(partial(changes.change_everywhere, self, rate, by, reason))

    async def changes(self) -> list[RateChange]:
        """The changes of this limit that are among the last 50 in its store, the last one first.

        Raises:
            ConfigurationError: the store cannot keep changes.
            BackendNotFoundError: no store is open, or it is unclear which one to use.
            BackendError: the store does not answer.
        """
        return await changes.in_thread(partial(changes.changes_of, self))

    def promote(self) -> None:
        """Make the shadow live: ``shadow=True`` refuses from now on, ``shadow_rate`` becomes the rate.

        Raises:
            ConfigurationError: it has no shadow.
        """
        changes.promote(self)

    @property
    def shadow_report(self) -> ShadowReport:
        """The decisions of the shadow in this process, in numbers of hits; zeros without a shadow."""
        return ShadowReport() if self.shadow is None else self.shadow.report


class SyncQuotaLimit:
    """The calls of `QuotaLimit` for sync code."""

    __slots__ = ("_limit",)

    def __init__(self, limit: QuotaLimit) -> None:
        self._limit = limit

    def reserve(
        self, subject: Any, cost: int | None = None, *, context: Context | None = None, keep_on_error: bool = False
    ) -> SyncReservation:
        """As `QuotaLimit.reserve`, for ``with``."""
        return SyncReservation(combination_of((self._limit,)), subject, cost, context, keep_on_error)

    def slot(
        self,
        subject: Any,
        cost: int | None = None,
        *,
        context: Context | None = None,
        wait: float | bool = False,
        on_lost: LostOption | None = None,
    ) -> SyncSlot:
        """As `QuotaLimit.slot`, for ``with``; `on_lost` is a sync function, called in another thread."""
        return SyncSlot(self._limit, subject, cost, context, wait, on_lost, True)

    def refund(self, subject: Any, cost: int, *, context: Context | None = None) -> SettledDecision:
        """As `QuotaLimit.refund`."""
        return run_sync(_settled(self._limit, subject, -check_cost(cost), context, True))

    def charge(self, subject: Any, cost: int, *, context: Context | None = None) -> SettledDecision:
        """As `QuotaLimit.charge`."""
        return run_sync(_settled(self._limit, subject, check_cost(cost), context, True))

    def take_up_to(self, subject: Any, most: int, *, context: Context | None = None) -> int:
        """As `QuotaLimit.take_up_to`."""
        return run_sync(settling.take_up_to(Hit(self._limit), subject, most, context, True))

    def plan(self, subject: Any, costs: Sequence[int], *, context: Context | None = None) -> list[Decision]:
        """As `QuotaLimit.plan`."""
        return run_sync(settling.foresee(Hit(self._limit), subject, costs, context, True))

    def update_everywhere(self, *, rate: Rates | None, by: str = "", reason: str = "") -> RateChange:
        """As `QuotaLimit.update_everywhere`."""
        return changes.change_everywhere(self._limit, rate, by, reason)

    def changes(self) -> list[RateChange]:
        """As `QuotaLimit.changes`."""
        return changes.changes_of(self._limit)


async def _settled(limit: QuotaLimit, subject: Any, units: int, context: Context | None, sync: bool) -> SettledDecision:
    hold = await settling.hold_on(Hit(limit), subject, check_context(context), sync)
    if hold is None or units == 0:
        return SettledDecision.of(ADMITTED, 0)
    (decision,) = await settling.settle_all([(hold, units)], sync)
    limit.amend(subject, decision)
    return decision
