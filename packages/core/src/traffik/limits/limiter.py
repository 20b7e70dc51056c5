"""A limit on anything that has a name: no connection, no framework.

limiter = Limiter("mails", "100/hour")
decision = await limiter.hit("user:42")
if not decision:
print(f"come back in {decision.wait_seconds} s")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from traffik.limits import groups, hits, uids, waiting
from traffik.limits.limit import CostOption, RateOption
from traffik.limits.quotas import QuotaLimit, SyncQuotaLimit
from traffik.model.callables import Context
from traffik.model.coroutines import run_sync
from traffik.model.rates import Rates

if TYPE_CHECKING:
    from uuid import UUID

    from traffik.backends.base import Backend
    from traffik.model.decisions import Decision, StrategyStat
    from traffik.strategies import Strategy

__all__ = ["Limiter", "SyncLimiter"]


class Limiter(QuotaLimit):
    """A limit on opaque identities. A refused hit is a value here, not an exception.

    Args:
        uid: names the limit, 1 to 128 characters; limits with the same uid on one store share their quota.
        rate: a rate, text such as ``"100/min"`` or ``"10/s; 1000/hour"``, several of them, or a function of the
            identity (and the context) that answers one.
        strategy: the algorithm; `SlidingWindow` if None.
        backend: the store; if None, the only one that is open.
        cost: units of quota a hit takes, or a function as for `rate`.
        context: handed to those functions, under what a call gives; its ``"scope"`` divides the quota further.
        shadow: count and report, and refuse no one; see `shadow_report` and `promote`.
        shadow_rate: another rate, tried beside the live one on the same hits; it refuses no one.

    Raises:
        RateError: the rate is not one, or the strategy cannot count it exactly.
        DuplicateUidError: a different limit with this uid counts in the store given as `backend`.
        TypeError, ValueError: another argument is none of the above.
    """

    subject = "identity"

    def __init__(
        self,
        uid: str,
        rate: RateOption,
        *,
        strategy: Strategy | None = None,
        backend: Backend | None = None,
        cost: CostOption = 1,
        context: Context | None = None,
        shadow: bool = False,
        shadow_rate: Rates | None = None,
    ) -> None:
        super().__init__(
            uid,
            rate,
            strategy=strategy,
            backend=backend,
            cost=cost,
            context=context,
            shadow=shadow,
            shadow_rate=shadow_rate,
        )
        uids.claim(self)
        groups.join(self)

    async def hit(
        self, identity: str | int | UUID, cost: int | None = None, *, context: Context | None = None
    ) -> Decision:
        """Take `cost` units of the quota of `identity`, all or nothing.

        Args:
            identity: whose quota it is.
            cost: 0 to 2**31 - 1 units; the limiter's own if None. 0 is admitted and touches nothing.
            context: goes before the limiter's own.

        Raises:
            TypeError, ValueError: an argument is none of the above; nothing is taken then.
            BackendNotFoundError: none, or more than one, store could be meant.
            DuplicateUidError: a different limit with this uid counts in that store.
        """
        return await hits.decide(self, identity, cost, context, False)

    async def wait(
        self,
        identity: str | int | UUID,
        cost: int | None = None,
        *,
        timeout: float | None = None,
        context: Context | None = None,
        jitter: float | None = None,
    ) -> Decision:
        """Wait until `identity` is admitted with `cost`, and take it.

        Callers that wait for one key in this process are admitted in the order in which they came, tasks and threads
        alike. Only the first of them asks the store, and sleeps exactly as long as the refusal says. A wait that is
        cancelled gives up its place and consumes nothing (unless the store is deciding on it, as with `hit`).

        Args:
            identity: as for `hit`.
            cost: as for `hit`.
            timeout: seconds to wait at most, from 0, which is to try once; None for as long as it takes. It does not
                bound a call to the store, which has a deadline of its own.
            context: as for `hit`.
            jitter: up to so many seconds, at random, are added to each pause, so that processes which wait for the same
                key do not ask at the same instant.

        Returns:
            The decision that admits it.

        Raises:
            WaitTimeoutError: it would take longer than `timeout`; raised as soon as that is known.
            NeverAdmittedError: no waiting helps, since the cost is above the capacity; raised at once.
            TypeError, ValueError, BackendNotFoundError, DuplicateUidError: as by `hit`.
        """
        return await waiting.wait_for_quota(self, identity, cost, context, False, timeout, jitter)

    async def check(
        self, identity: str | int | UUID, cost: int | None = None, *, context: Context | None = None
    ) -> Decision:
        """What `hit` would answer now; takes nothing."""
        return await hits.decide(self, identity, cost, context, False, hits.read_only)

    async def stat(self, identity: str | int | UUID, *, context: Context | None = None) -> StrategyStat | None:
        """What is left of the quota of `identity`; None if the strategy cannot tell."""
        return await hits.stat(self, identity, context, False)

    async def reset(self, identity: str | int | UUID, *, context: Context | None = None) -> None:
        """Forget what `identity` has used."""
        await hits.reset(self, identity, context, False)

    @property
    def sync(self) -> SyncLimiter:
        """The same limiter for sync code."""
        return SyncLimiter(self)


class SyncLimiter(SyncQuotaLimit):
    """A `Limiter` for sync code: the same calls, the same quota; an async function among its options is a TypeError."""

    __slots__ = ()

    def hit(self, identity: str | int | UUID, cost: int | None = None, *, context: Context | None = None) -> Decision:
        """As `Limiter.hit`."""
        return run_sync(hits.decide(self._limit, identity, cost, context, True))

    def wait(
        self,
        identity: str | int | UUID,
        cost: int | None = None,
        *,
        timeout: float | None = None,
        context: Context | None = None,
        jitter: float | None = None,
    ) -> Decision:
        """As `Limiter.wait`, for threads in which no event loop runs: a `ConfigurationError` where one does."""
        return run_sync(waiting.wait_for_quota(self._limit, identity, cost, context, True, timeout, jitter))

    def check(self, identity: str | int | UUID, cost: int | None = None, *, context: Context | None = None) -> Decision:
        """As `Limiter.check`."""
        return run_sync(hits.decide(self._limit, identity, cost, context, True, hits.read_only))

    def stat(self, identity: str | int | UUID, *, context: Context | None = None) -> StrategyStat | None:
        """As `Limiter.stat`."""
        return run_sync(hits.stat(self._limit, identity, context, True))

    def reset(self, identity: str | int | UUID, *, context: Context | None = None) -> None:
        """As `Limiter.reset`."""
        run_sync(hits.reset(self._limit, identity, context, True))
