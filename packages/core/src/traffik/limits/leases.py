"""Leases: units that are in use for as long as a piece of work runs.

A lease is a hit on a sliding log whose window is the length of the lease. It is renewed while the work runs: the old
hit is given back and a new one taken, in one atomic step. At the end it is given back. If the process dies, it expires.

As in `traffik.limits.hits`, async code awaits these coroutine functions, and sync code steps them.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from traffik.backends.postings import HOLD, SETTLE, Posting
from traffik.backends.shields import shielded
from traffik.events.records import RESERVE
from traffik.limits import hits, queues, timing, waiting
from traffik.limits.waiting import NeverAdmittedError, WaitTimeoutError
from traffik.model.decisions import ADMITTED, UNAVAILABLE, Decision
from traffik.model.descriptions import describe
from traffik.model.errors import BackendError, ConfigurationError
from traffik.notices import misconfiguration
from traffik.strategies import SlidingLog

if TYPE_CHECKING:
    from traffik.backends.base import Calls
    from traffik.backends.postings import Held, LimitAccount
    from traffik.limits.limit import Limit
    from traffik.model.callables import Context

__all__ = ["Lease"]

_T = TypeVar("_T")

_AWAY: Final = frozenset({UNAVAILABLE, "fallback", "on_error"})
"""Refusals that do not come from the store, which may still count the lease."""


class Lease:
    """Units in use of one key. They are given back at most once, even under cancellation.

    Args:
        limit: the throttle, limiter or slots.
        subject: the connection or identity.
        cost: units; the limit's own if None.
        context: its values override those of the limit's context.
        wait: seconds to wait for the units at most; True for as long as it takes, False to not wait.
        sync: for sync code.

    Attributes:
        decision: the decision that admitted or refused it; None before.
        lost: whether the store may have given its units to others while the work ran.
        lock: held while it is renewed or given back, in sync code.
    """

    def __init__(
        self,
        limit: Limit,
        subject: Any,
        cost: int | None,
        context: Context | None,
        wait: float | bool,
        sync: bool,
    ) -> None:
        self._limit = limit
        self._subject = subject
        self._cost = cost
        self._context = context
        self._wait = wait
        self._sync = sync
        self._process = os.getpid()
        self._account: LimitAccount | None = None
        self._key = ""
        self._units = 0
        self._held: Held = None
        self._certain = True
        self._until = 0
        self._over = False
        self.decision: Decision | None = None
        self.lost: bool = False
        self.lock: Lock = Lock()

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the one that has taken it, and must not touch it."""
        return self._process != os.getpid()

    @property
    def renewable(self) -> bool:
        """Whether there is something to renew."""
        return self._account is not None and not self._over and not self.lost

    @property
    def period(self) -> int:
        """µs of a lease; of the shortest if the limit has several rates."""
        return 0 if self._account is None else min(rate.period for rate in self._account.plan.rates)

    async def take(self) -> Decision:
        """Take the units, or reject the connection.

        Raises:
            WaitTimeoutError, NeverAdmittedError: a wait has failed, and the subject is not a connection.
            ConfigurationError: the strategy of the limit is not `SlidingLog`, or the store cannot settle.
        """
        limit, subject, cost, context, sync = self._limit, self._subject, self._cost, self._context, self._sync
        try:
            if self._wait is False:
                self.decision = await hits.decide(limit, subject, cost, context, sync, hits.Ask(self._asked, RESERVE))
                limit.remember(subject, self.decision, cost is None and context is None)
            else:
                timeout = None if self._wait is True else self._wait
                self.decision = await waiting.wait_for_slot(limit, subject, cost, context, sync, timeout, self._ask)
        except (WaitTimeoutError, NeverAdmittedError) as error:
            if not limit.rejects:
                raise
            self.decision = error.decision
        except BaseException:
            await self.uninterrupted(self.release())
            raise
        if not self.decision.allowed and limit.rejects:
            await hits.refuse(limit, subject, self.decision, context, sync)
        return self.decision

    async def renew(self) -> int | None:
        """Take the units again, and give the old ones back in the same step. It must not be cancelled.

        Returns:
            µs until it is to be renewed again; None if there is nothing to renew any more.
        """
        if not self.renewable:
            return None
        period = self.period
        if timing.now() >= self._until:
            self._lose()
            return None
        try:
            decision = await self._renewed()
        except BackendError as error:
            self._certain = self._certain and not error.maybe_executed
            decision = None
        except BaseException:
            self._certain = False
            raise
        if decision is not None and decision.allowed:
            self._certain = True
            return period // 3
        if decision is not None and decision.degraded not in _AWAY:
            self._held = None
            self._lose()
            return None
        self._certain = self._certain and decision is None
        return max(1, min(period // 10, self._until - timing.now()))

    async def uninterrupted(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a call that must not be cancelled, since its outcome would be unknown. Stores have deadlines."""
        in_process = self._account is None or self._account.store.in_process
        return await (work if self._sync or in_process else shielded(work))

    async def release(self) -> None:
        """Give the units back, once. If the store does not answer, they come back when the lease ends."""
        if self._over:
            return
        self._over = True
        held, self._held = self._held, None
        if held is not None and timing.now() >= self._until:
            self._lose()
        if self._account is None:
            return
        # A renewal that was not answered may have moved the units. Giving back the old ones might then take those of
        # another lease of the same µs, so these lapse.
        if held is not None and self._certain and not self.lost:
            with suppress(BackendError):
                await self._give_back(held)
        queues.wake((self._account.store, self._limit.uid, self._key))

    async def _asked(self, calls: Calls, key: str, cost: int) -> Decision:
        """The decision of the store, recorded; waiting records its own."""
        return self._limit.note(await self._ask(calls, key, cost), key, cost, RESERVE)

    async def _ask(self, calls: Calls, key: str, cost: int) -> Decision:
        """Take the units instead of charging them: what `hits.decide` and `wait_for_slot` do for a lease."""
        account = calls.account
        if not all(isinstance(each, SlidingLog) for each in account.plan.strategies):
            raise ConfigurationError(
                f"slots of {self._limit.uid!r} need the strategy SlidingLog(), whose window is the lease: "
                f'HTTPThrottle("exports", "5/60s", strategy=SlidingLog()); not {describe(account.plan.strategy)}'
            )
        self._account, self._key, self._units = account, key, cost
        decision = await self.uninterrupted(self._take(account, ()))
        shadow = self._limit.shadow
        if shadow is None or shadow.plan is not None:
            return decision
        shadow.note(decision, decision, key, cost)
        if not decision.allowed:
            self._account = None  # nothing is held
        return ADMITTED

    async def _renewed(self) -> Decision:
        account, held = self._account, self._held
        assert account is not None  # noqa: S101 - for type checkers: it is renewable
        if held is None or held[0].store is account.store:
            back = () if held is None else (self._back(held),)
            return await self._take(account, back)
        # The store did not answer, and the limiter of this process decided instead.
        decision = await self._take(account, ())
        if decision.allowed:
            await self._give_back(held)
        elif decision.degraded == "fallback":
            decision = await self._take(held[0], (self._back(held),))
        return decision

    async def _take(self, account: LimitAccount, back: Sequence[Posting]) -> Decision:
        began = timing.now()
        answer = account.store.take(((account, self._key, self._units),), HOLD, sync=self._sync, back=back)
        taken = (await answer) if isinstance(answer, Awaitable) else answer
        decision: Decision = taken.decisions[0]
        if decision.allowed:
            self._held = taken.held[0] if taken.held else None
            self._until = began + self.period
        return decision

    async def _give_back(self, held: Held) -> None:
        posting = self._back(held)
        answer = posting.account.store.post((posting,), sync=self._sync)
        if isinstance(answer, Awaitable):
            await answer

    def _back(self, held: Held) -> Posting:
        account, receipt = held or (self._account, None)
        return Posting(SETTLE, account, self._key, -self._units, receipt)

    def _lose(self) -> None:
        if self.lost:
            return
        self.lost = True
        misconfiguration.slot_lost(self._limit.uid)
