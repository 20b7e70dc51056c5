"""Several throttles as one decision: a hit consumes units of all of them, or of none.

    guards = AllOf(per_ip, per_user, everyone)

    await guards.hit(request)                          # or hit_all(request, per_ip, per_user, everyone)

With separate hits, a refusal by the second throttle comes after the first has been charged. For throttles that count in
different stores, see `traffik.limits.composing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, overload

from traffik.backends.postings import TRY
from traffik.limits import composing
from traffik.limits.combinations import Combination, Hit, combination_of
from traffik.limits.limit import Limit
from traffik.limits.reservations import Reservation, SyncReservation
from traffik.model.coroutines import run_sync
from traffik.throttles.injection import injected_signature
from traffik.throttles.throttle import C, Throttle

if TYPE_CHECKING:
    import inspect

    from traffik.limits.limiter import Limiter
    from traffik.model.callables import Context
    from traffik.model.decisions import Decision

__all__ = ["AllOf", "SyncAllOf", "hit_all", "hit_all_sync", "reserve_all", "reserve_all_sync"]


class AllOf(Generic[C]):
    """Several throttles that are hit as one, all or nothing. Make it once, at the top of a module, like a throttle.

    Args:
        limits: throttles and limiters, at least one throttle. Wrap one in a `Hit` to give it its own cost, context or
            subject.

    Raises:
        TypeError: there is no throttle, or an argument is something else.
    """

    def __init__(self, *limits: Throttle[C] | Limit | Hit) -> None:
        self.combination: Combination = Combination(limits)
        if not self.combination.rejects:
            raise TypeError("AllOf takes at least one throttle; for limiters alone use hit_all and reserve_all")

    def __repr__(self) -> str:
        return f"AllOf({', '.join(part.limit.uid for part in self.combination.parts)})"

    async def hit(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """Consume `cost` units of each throttle's quota, or reject the connection and consume nothing.

        The throttle with the longest wait rejects. The header fields show all throttles.

        Args:
            connection: as in `Throttle.hit`.
            cost: for each throttle that has no cost in a `Hit`; if None, the cost of the throttle.
            context: its values override those of each throttle's context.

        Returns:
            The same connection.

        Raises:
            Throttled: a throttle refuses, as in `Throttle.hit`. The other errors of that method are raised too.
            ConfigurationError: the throttles count in different stores, and the strategy of one cannot give units back.
        """
        await composing.hit_together(self.combination, connection, cost, context, False)
        return connection

    async def __call__(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """The same as `hit`, for ``Depends(AllOf(...))``."""
        return await self.hit(connection, cost, context)

    async def check(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """The decision that a hit would get now, from the binding throttle. Consumes nothing."""
        return (await composing.take_all(self.combination, connection, cost, context, False, TRY)).decision

    def reserve(
        self,
        connection: C,
        cost: int | None = None,
        *,
        context: Context | None = None,
        keep_on_error: bool = False,
    ) -> Reservation:
        """Reserve an estimated cost in each quota, or in none, and settle it later; see `Throttle.reserve`."""
        return Reservation(self.combination, connection, cost, context, keep_on_error)

    @property
    def throttles(self) -> tuple[Throttle[Any], ...]:
        """The throttles among its limits."""
        return tuple(part.limit for part in self.combination.parts if isinstance(part.limit, Throttle))

    @property
    def sync(self) -> SyncAllOf[C]:
        """The same for sync code."""
        return SyncAllOf(self)

    @injected_signature
    def __signature__(self) -> inspect.Signature:
        """That of its first throttle, for FastAPI's dependency injection."""
        return self.throttles[0].__signature__


class SyncAllOf(Generic[C]):
    """An `AllOf` for sync code."""

    __slots__ = ("_all",)

    def __init__(self, whole: AllOf[C]) -> None:
        self._all = whole

    def hit(self, connection: C, cost: int | None = None, context: Context | None = None) -> C:
        """As `AllOf.hit`."""
        run_sync(composing.hit_together(self._all.combination, connection, cost, context, True))
        return connection

    __call__ = hit

    def check(self, connection: C, cost: int | None = None, context: Context | None = None) -> Decision:
        """As `AllOf.check`."""
        return run_sync(composing.take_all(self._all.combination, connection, cost, context, True, TRY)).decision

    def reserve(
        self,
        connection: C,
        cost: int | None = None,
        *,
        context: Context | None = None,
        keep_on_error: bool = False,
    ) -> SyncReservation:
        """As `AllOf.reserve`, for ``with``."""
        return SyncReservation(self._all.combination, connection, cost, context, keep_on_error)

    @injected_signature
    def __signature__(self) -> inspect.Signature:
        """That of the `AllOf`."""
        return self._all.__signature__


@overload
async def hit_all(
    subject: object, *limits: Limiter | Hit[Limiter], cost: int | None = None, context: Context | None = None
) -> Decision: ...


@overload
async def hit_all(subject: C, *limits: Limit | Hit, cost: int | None = None, context: Context | None = None) -> C: ...


async def hit_all(subject: Any, *limits: Limit | Hit, cost: int | None = None, context: Context | None = None) -> Any:
    """Hit several throttles or limiters as one, all or nothing; see `AllOf.hit`.

    Returns:
        The same connection. If there are only limiters, the binding decision instead.
    """
    return await _hit(limits, subject, cost, context, False)


@overload
def hit_all_sync(
    subject: object, *limits: Limiter | Hit[Limiter], cost: int | None = None, context: Context | None = None
) -> Decision: ...


@overload
def hit_all_sync(subject: C, *limits: Limit | Hit, cost: int | None = None, context: Context | None = None) -> C: ...


def hit_all_sync(subject: Any, *limits: Limit | Hit, cost: int | None = None, context: Context | None = None) -> Any:
    """`hit_all` for sync code."""
    return run_sync(_hit(limits, subject, cost, context, True))


def reserve_all(
    subject: Any,
    *limits: Limit | Hit,
    cost: int | None = None,
    context: Context | None = None,
    keep_on_error: bool = False,
) -> Reservation:
    """Reserve units of several throttles or limiters, all or nothing; see `Throttle.reserve`."""
    return Reservation(combination_of(limits), subject, cost, context, keep_on_error)


def reserve_all_sync(
    subject: Any,
    *limits: Limit | Hit,
    cost: int | None = None,
    context: Context | None = None,
    keep_on_error: bool = False,
) -> SyncReservation:
    """`reserve_all` for sync code, for ``with``."""
    return SyncReservation(combination_of(limits), subject, cost, context, keep_on_error)


async def _hit(
    limits: tuple[Limit | Hit, ...], subject: Any, cost: int | None, context: Context | None, sync: bool
) -> Any:
    combination = combination_of(limits)
    verdict = await composing.hit_together(combination, subject, cost, context, sync)
    return subject if combination.rejects else verdict.decision
