"""Several throttles as one decision: a connection takes units from all of them, or from none.

    guards = AllOf(per_ip, per_user, everyone)

    await guards.hit(request)                          # or hit_all(request, per_ip, per_user, everyone)

As separate hits, a refusal by the second throttle has already charged the first. What one decision means where the
throttles count in different stores is in `traffik.limits.composing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from traffik.backends.postings import TRY
from traffik.limits import composing
from traffik.limits.composing import Hit, parts_of
from traffik.limits.limit import Limit
from traffik.limits.reservations import Reservation, SyncReservation
from traffik.model.coroutines import run_sync
from traffik.throttles.throttle import Throttle

if TYPE_CHECKING:
    import inspect

    from traffik.limits.limiter import Limiter
    from traffik.model.callables import Context
    from traffik.model.decisions import Decision

__all__ = ["AllOf", "SyncAllOf", "hit_all", "hit_all_sync", "reserve_all", "reserve_all_sync"]

_C = TypeVar("_C")


class AllOf(Generic[_C]):
    """Several throttles that are hit as one, all or nothing; made once, as a throttle is.

    Args:
        limits: throttles, or a `Hit` for one with a cost, a context or a subject of its own; limiters too.

    Raises:
        TypeError: there are none, or something else is among them.
    """

    def __init__(self, *limits: Limit | Hit) -> None:
        self.parts = parts_of(limits)
        if not any(part.limit.rejects for part in self.parts):
            raise TypeError("AllOf takes a throttle at least; for limiters alone there are hit_all and reserve_all")

    def __repr__(self) -> str:
        return f"AllOf({', '.join(part.limit.uid for part in self.parts)})"

    async def hit(self, connection: _C, cost: int | None = None, context: Context | None = None) -> _C:
        """Take `cost` units from each, or reject the connection and take nothing.

        The rejection is that of the throttle that refuses longest; its header fields show all.

        Args:
            connection: as in `Throttle.hit`.
            cost: for every throttle without a cost of its own here; if None, each has its own.
            context: goes before that of each throttle.

        Returns:
            The same connection.

        Raises:
            Throttled: a throttle refuses, as in `Throttle.hit`; and the other errors of it.
            ConfigurationError: the throttles count in different stores, and one cannot give back what it hands out.
        """
        await composing.hit_together(self.parts, connection, cost, context, False)
        return connection

    async def __call__(self, connection: _C, cost: int | None = None, context: Context | None = None) -> _C:
        """The same as `hit`, so that ``Depends(AllOf(...))`` works."""
        return await self.hit(connection, cost, context)

    async def check(self, connection: _C, cost: int | None = None, context: Context | None = None) -> Decision:
        """The decision a hit would get now, from the throttle that binds; takes nothing."""
        return (await composing.take_all(self.parts, connection, cost, context, False, TRY)).decision

    def reserve(
        self,
        connection: _C,
        cost: int | None = None,
        *,
        context: Context | None = None,
        keep_on_error: bool = False,
    ) -> Reservation:
        """Take an estimate from each, or nothing, and settle it afterwards; see `Throttle.reserve`."""
        return Reservation(self.parts, connection, cost, context, keep_on_error)

    @property
    def throttles(self) -> tuple[Throttle[Any], ...]:
        """The throttles among its limits."""
        return tuple(part.limit for part in self.parts if isinstance(part.limit, Throttle))

    @property
    def sync(self) -> SyncAllOf[_C]:
        """The same for sync code."""
        return SyncAllOf(self)

    @property
    def __signature__(self) -> inspect.Signature:
        """As of its first throttle: what FastAPI injects."""
        return self.throttles[0].__signature__


class SyncAllOf(Generic[_C]):
    """An `AllOf` for sync code."""

    __slots__ = ("_all",)

    def __init__(self, whole: AllOf[_C]) -> None:
        self._all = whole

    def hit(self, connection: _C, cost: int | None = None, context: Context | None = None) -> _C:
        """As `AllOf.hit`."""
        run_sync(composing.hit_together(self._all.parts, connection, cost, context, True))
        return connection

    __call__ = hit

    def check(self, connection: _C, cost: int | None = None, context: Context | None = None) -> Decision:
        """As `AllOf.check`."""
        return run_sync(composing.take_all(self._all.parts, connection, cost, context, True, TRY)).decision

    def reserve(
        self,
        connection: _C,
        cost: int | None = None,
        *,
        context: Context | None = None,
        keep_on_error: bool = False,
    ) -> SyncReservation:
        """As `AllOf.reserve`, for ``with``."""
        return SyncReservation(self._all.parts, connection, cost, context, keep_on_error)

    @property
    def __signature__(self) -> inspect.Signature:
        """As of `AllOf`."""
        return self._all.__signature__


@overload
async def hit_all(
    subject: object, *limits: Limiter, cost: int | None = None, context: Context | None = None
) -> Decision: ...


@overload
async def hit_all(subject: _C, *limits: Limit | Hit, cost: int | None = None, context: Context | None = None) -> _C: ...


async def hit_all(subject: Any, *limits: Limit | Hit, cost: int | None = None, context: Context | None = None) -> Any:
    """Hit several throttles or limiters as one, all or nothing; see `AllOf.hit`.

    Returns:
        The same connection. If there are only limiters, the decision that binds instead.
    """
    return await _hit(limits, subject, cost, context, False)


@overload
def hit_all_sync(
    subject: object, *limits: Limiter, cost: int | None = None, context: Context | None = None
) -> Decision: ...


@overload
def hit_all_sync(subject: _C, *limits: Limit | Hit, cost: int | None = None, context: Context | None = None) -> _C: ...


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
    return Reservation(parts_of(limits), subject, cost, context, keep_on_error)


def reserve_all_sync(
    subject: Any,
    *limits: Limit | Hit,
    cost: int | None = None,
    context: Context | None = None,
    keep_on_error: bool = False,
) -> SyncReservation:
    """`reserve_all` for sync code, for ``with``."""
    return SyncReservation(parts_of(limits), subject, cost, context, keep_on_error)


async def _hit(
    limits: Sequence[Limit | Hit], subject: Any, cost: int | None, context: Context | None, sync: bool
) -> Any:
    parts = parts_of(limits)
    verdict, _ = await composing.hit_together(parts, subject, cost, context, sync)
    return subject if any(part.limit.rejects for part in parts) else verdict.decision
