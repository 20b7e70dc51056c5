"""Reservations: take an estimate before the work, and settle it when the real cost is known.

    async with limiter.reserve("user:42", cost=500) as reservation:
        answer = await generate(prompt)
        await reservation.commit(answer.tokens)

The estimate is taken, or refused, before the work. `commit` gives back or charges the difference, in one step. An error
in the block gives everything back. A block that ends without a commit keeps the estimate, and so does a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from traffik.backends.postings import HOLD
from traffik.limits import composing, settling
from traffik.limits.combinations import Combination
from traffik.limits.limit import Limit
from traffik.model.coroutines import run_sync
from traffik.model.costs import check_cost
from traffik.model.decisions import Decision, SettledDecision
from traffik.model.errors import BackendError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from traffik.limits.composing import Verdict
    from traffik.limits.settling import Hold
    from traffik.model.callables import Context

__all__ = ["Reservation", "SyncReservation"]

_NEW: Final = "new"
_OPEN: Final = "open"
_SETTLED: Final = "settled"
_REFUSED: Final = "refused"


class _Account:
    """The units of one reservation. They are settled at most once, even under cancellation."""

    def __init__(
        self, combination: Combination, subject: Any, cost: int | None, context: Context | None, keep_on_error: bool
    ) -> None:
        self.combination = combination
        self.subject = subject
        self.cost = cost
        self.context = context
        self.keep_on_error = keep_on_error
        self.state = _NEW
        self.verdict: Verdict | None = None
        self.holds: list[Hold] = []

    async def open(self, sync: bool) -> None:
        if self.state != _NEW:
            raise RuntimeError("this reservation has been used: call reserve() for each piece of work")
        self.state = _REFUSED
        verdict = await composing.hit_together(self.combination, self.subject, self.cost, self.context, sync, HOLD)
        self.verdict = verdict
        if not verdict.decision.allowed:
            return
        try:
            for part, hold in zip_longest(self.combination.parts, verdict.holds):
                found = hold or await settling.hold_on(part, self.subject, self.context, sync)
                if found is not None:
                    self.holds.append(found)
        except BaseException:
            await settling.give_back(verdict.holds, sync)
            raise
        self.state = _OPEN

    @property
    def decision(self) -> Decision:
        if self.verdict is None:
            raise RuntimeError("this reservation has not begun: use it in a with block")
        return self.verdict.decision

    @property
    def estimate(self) -> int:
        return max((hold.units for hold in self.holds), default=0)

    async def commit(self, actual: int | Mapping[Limit, int], sync: bool) -> SettledDecision:
        wanted = self._wanted(actual)
        self._claim("commit")
        return await self._settle([(hold, units - hold.units) for hold, units in wanted], sync)

    async def release(self, sync: bool) -> SettledDecision:
        self._claim("release")
        return await self._settle([(hold, -hold.units) for hold in self.holds], sync)

    async def close(self, failed: bool, sync: bool) -> None:
        if self.state == _OPEN:
            if failed and not self.keep_on_error:
                with suppress(BackendError):  # the error of the block says more
                    await self.release(sync)
            self.state = _SETTLED

    def _claim(self, what: str) -> None:
        """From here on it is settled, even if settling is cancelled: units may then have moved."""
        if self.state == _REFUSED:
            raise RuntimeError(f"there is nothing to {what}: the reservation was refused; see `if reservation:`")
        if self.state != _OPEN:
            raise RuntimeError(f"there is nothing to {what}: the reservation has been settled or is over")
        self.state = _SETTLED

    def _wanted(self, actual: int | Mapping[Limit, int]) -> list[tuple[Hold, int]]:
        """The real cost for each hold; an integer is for all limits without their own cost."""
        if not isinstance(actual, Mapping):
            check_cost(actual)
            shared = [hold for hold in self.holds if hold.part.cost is None]
            return [(hold, actual) for hold in (shared or self.holds)]
        limits = [part.limit for part in self.combination.parts]
        for limit, units in actual.items():
            if limit not in limits:
                raise ValueError(f"{limit!r} is not part of this reservation: {limits!r} are")
            check_cost(units)
        return [(hold, actual[hold.part.limit]) for hold in self.holds if hold.part.limit in actual]

    async def _settle(self, moves: Sequence[tuple[Hold, int]], sync: bool) -> SettledDecision:
        asked = [(hold, units) for hold, units in moves if units]
        if not asked:
            return SettledDecision.of(self.decision, 0)
        decisions = await settling.settle_all(asked, sync)
        for (hold, _), decision in zip(asked, decisions, strict=True):
            hold.part.limit.amend(hold.part.subject_in(self.subject), decision)
        return min(decisions, key=lambda decision: decision.remaining)


class Reservation:
    """Units taken before the work; made by `reserve`. True if they were taken.

    Attributes:
        decision: the decision that binds.
        estimate: the units that were taken.
    """

    __slots__ = ("_account",)

    def __init__(
        self, combination: Combination, subject: Any, cost: int | None, context: Context | None, keep_on_error: bool
    ) -> None:
        self._account = _Account(combination, subject, cost, context, keep_on_error)

    @property
    def decision(self) -> Decision:
        return self._account.decision

    @property
    def estimate(self) -> int:
        return self._account.estimate

    def __bool__(self) -> bool:
        return self.decision.allowed

    async def commit(self, actual: int | Mapping[Limit, int]) -> SettledDecision:
        """Settle the real cost: give back what was too much, charge what was too little, in one step.

        Args:
            actual: units, 0 to 2**31 - 1, for every limit without its own cost; or units by limit.

        Returns:
            What is left afterwards. Its `units` are those that moved.

        Raises:
            RuntimeError: it has been settled, was refused, or is over.
            TypeError, ValueError: `actual` is none of the above; nothing is settled then.
        """
        return await self._account.commit(actual, False)

    async def release(self) -> SettledDecision:
        """Give everything back. Raises as `commit`."""
        return await self._account.release(False)

    async def __aenter__(self) -> Self:
        await self._account.open(False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._account.close(kind is not None, False)


class SyncReservation:
    """A `Reservation` for sync code, used with ``with``."""

    __slots__ = ("_account",)

    def __init__(
        self, combination: Combination, subject: Any, cost: int | None, context: Context | None, keep_on_error: bool
    ) -> None:
        self._account = _Account(combination, subject, cost, context, keep_on_error)

    @property
    def decision(self) -> Decision:
        """The decision that binds."""
        return self._account.decision

    @property
    def estimate(self) -> int:
        """The units that were taken."""
        return self._account.estimate

    def __bool__(self) -> bool:
        return self.decision.allowed

    def commit(self, actual: int | Mapping[Limit, int]) -> SettledDecision:
        """As `Reservation.commit`."""
        return run_sync(self._account.commit(actual, True))

    def release(self) -> SettledDecision:
        """As `Reservation.release`."""
        return run_sync(self._account.release(True))

    def __enter__(self) -> Self:
        run_sync(self._account.open(True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run_sync(self._account.close(kind is not None, True))
