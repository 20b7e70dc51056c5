"""Limits on anything with a name, such as a user or a job, without a request or a framework.

    limiter = Limiter("mails", "100/hour")
    decision = await limiter.hit("user:42")
    if not decision:
        print(f"try again in {decision.wait_seconds} s")

For requests, use throttles: see `traffik.throttles`.
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
    """A limit on identities of your choice. A refused hit returns a decision and raises nothing.

    Args:
        uid: the name of the limit, 1 to 128 characters. Limits with the same uid in one store share their quota.
        rate: a rate, text such as ``"100/min"`` or ``"10/s; 1000/hour"``, several of them, or a function of the
            identity (and the context) that returns one of these.
        strategy: the algorithm; `SlidingWindow` if None.
        backend: the store; if None, the only open one.
        cost: units of quota that a hit consumes, or a function as for `rate`.
        context: passed to these functions, updated with the context of the call. Each ``"scope"`` in it has its own
            quota.
        shadow: count and report, but refuse nothing; see `shadow_report` and `promote`.
        shadow_rate: another rate to try on the same hits. It refuses nothing.

    Raises:
        RateError: the rate is invalid, or the strategy cannot count it exactly.
        DuplicateUidError: a different limit with this uid counts in the store given as `backend`.
        TypeError, ValueError: another argument is invalid.
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
        """Consume `cost` units of the quota of `identity`, or none if fewer remain.

        Args:
            identity: the user, client or job whose quota is used.
            cost: 0 to 2**31 - 1 units; the cost of the limiter if None. A hit of 0 is admitted and changes nothing.
            context: its values override those of the limiter's context.

        Raises:
            TypeError, ValueError: an argument is invalid. Nothing is consumed then.
            BackendNotFoundError: no store is open, or it is unclear which one to use.
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
        """Wait until `cost` units of the quota of `identity` are available, and consume them.

        Callers in this process that wait for the same key, tasks and threads alike, are admitted in the order in which
        they called. Only the first of them asks the store, and sleeps exactly as long as the refusal says. A cancelled
        wait leaves the queue and consumes nothing (unless the store is already deciding on it, as with `hit`).

        Args:
            identity: as for `hit`.
            cost: as for `hit`.
            timeout: the most seconds to wait, 0 or more; 0 tries once, None waits as long as necessary. Calls to the
                store have their own deadline, which this does not change.
            context: as for `hit`.
            jitter: the most seconds, chosen at random, to add to each pause. With it, processes that wait for the same
                key do not ask the store at the same time.

        Returns:
            The decision that admits the hit.

        Raises:
            WaitTimeoutError: the wait would be longer than `timeout`. Raised as soon as this is known.
            NeverAdmittedError: the cost is above the capacity, so no wait is long enough. Raised at once.
            TypeError, ValueError, BackendNotFoundError, DuplicateUidError: as by `hit`.
        """
        return await waiting.wait_for_quota(self, identity, cost, context, False, timeout, jitter)

    async def check(
        self, identity: str | int | UUID, cost: int | None = None, *, context: Context | None = None
    ) -> Decision:
        """The decision that `hit` would return now. Consumes nothing."""
        return await hits.decide(self, identity, cost, context, False, hits.read_only)

    async def stat(self, identity: str | int | UUID, *, context: Context | None = None) -> StrategyStat | None:
        """The remaining quota of `identity`; None if the strategy cannot tell."""
        return await hits.stat(self, identity, context, False)

    async def reset(self, identity: str | int | UUID, *, context: Context | None = None) -> None:
        """Forget the usage of `identity`, so its whole quota is available again."""
        await hits.reset(self, identity, context, False)

    @property
    def sync(self) -> SyncLimiter:
        """The same limiter for sync code."""
        return SyncLimiter(self)


class SyncLimiter(SyncQuotaLimit):
    """A `Limiter` for sync code, with the same methods and the same quota.

    If an option of the limiter is an async function, the methods raise a TypeError.
    """

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
        """As `Limiter.wait`, for threads without an event loop. Raises `ConfigurationError` if the thread runs one."""
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
