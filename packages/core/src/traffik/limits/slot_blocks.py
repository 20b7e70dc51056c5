"""The blocks that hold a slot: ``async with throttle.slot(request) as slot:``, and ``with`` in sync code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from traffik.limits import timing
from traffik.limits.leases import Lease
from traffik.limits.limit import Limit
from traffik.limits.renewals import TaskRenewal, ThreadRenewal
from traffik.model.callables import Callback, callback, check_context
from traffik.model.coroutines import must_wait, run_sync
from traffik.model.costs import check_cost
from traffik.model.descriptions import describe
from traffik.model.errors import ConfigurationError, SlotLostError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from traffik.model.callables import Context
    from traffik.model.decisions import Decision

__all__ = ["LostOption", "Slot", "SyncSlot"]

LostOption: TypeAlias = Literal["cancel"] | Callable[..., Awaitable[object] | object]
"""What an argument named `on_lost` takes: ``"cancel"``, or a function of the slot, sync or async."""


class _Block:
    """What both kinds of block have in common."""

    __slots__ = ("_begun", "_cancels", "_lease", "_on_lost", "_uid")

    def __init__(
        self,
        limit: Limit,
        subject: Any,
        cost: int | None,
        context: Context | None,
        wait: float | bool,
        on_lost: LostOption | None,
        sync: bool,
    ) -> None:
        if cost is not None:
            check_cost(cost)
        if not isinstance(wait, bool):
            timing.microseconds("wait", wait)
        self._on_lost: Callback | None = None
        self._cancels = on_lost == "cancel"
        if callable(on_lost):
            self._on_lost = callback("on_lost", on_lost, ("slot",))
        elif on_lost is not None and not self._cancels:
            raise TypeError(f'on_lost is "cancel" or a function of the slot, not {describe(on_lost)}')
        if self._cancels and sync:
            raise ConfigurationError("sync code cannot be cancelled: give on_lost a function, or look at slot.lost")
        self._uid = limit.uid
        self._begun = False
        self._lease = Lease(limit, subject, cost, check_context(context), wait, sync)

    @property
    def decision(self) -> Decision:
        """The decision that admitted or refused it."""
        decision = self._lease.decision
        if decision is None:
            raise RuntimeError("this slot has not begun: use it in a with block")
        return decision

    @property
    def lost(self) -> bool:
        """Whether the lease ended, or could not be renewed in time, while the work was running."""
        return self._lease.lost

    def __bool__(self) -> bool:
        return self.decision.allowed

    def _begin(self) -> None:
        if self._begun:
            raise RuntimeError("this slot has been used: call slot() for each piece of work")
        self._begun = True


class Slot(_Block):
    """A slot, held for as long as an ``async with`` block runs; made by `slot`. True if it was free.

    Attributes:
        decision: the decision that admitted or refused it.
        lost: whether the lease ended, or could not be renewed in time, while the work was running. The store may then
            have given the slot to others.
    """

    __slots__ = ("_renewal", "_scope")

    _renewal: TaskRenewal | None
    _scope: Any

    async def __aenter__(self) -> Self:
        self._begin()
        self._renewal = self._scope = None
        await self._lease.take()
        if self._lease.renewable and self._lease.decision:
            if self._cancels:
                from anyio import CancelScope

                self._scope = CancelScope()
                self._scope.__enter__()
            self._renewal = TaskRenewal(self._lease, self._tell)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raised = error
        try:
            if not self._lease.inherited:
                await self._lease.uninterrupted(self._end())
        except BaseException as other:
            raised = other
            raise
        finally:
            self._leave_scope(raised)

    def _leave_scope(self, raised: BaseException | None) -> None:
        """End the scope that cancels the block, if there is one.

        Raises:
            SlotLostError: it has been cancelled, and that is what the block has `raised`.
        """
        if self._scope is None:
            return
        trace = None if raised is None else raised.__traceback__
        swallowed = self._scope.__exit__(None if raised is None else type(raised), raised, trace)
        if swallowed and raised is not None:
            raise SlotLostError(f"a slot of {self._uid!r} was lost while its work was running") from raised

    async def _end(self) -> None:
        if self._renewal is not None:
            await self._renewal.stop()
        await self._lease.release()

    def _tell(self) -> Awaitable[object] | object:
        if self._scope is not None:
            self._scope.cancel()
        return None if self._on_lost is None else self._on_lost.call(self)


class SyncSlot(_Block):
    """A `Slot` for sync code, used with ``with``."""

    __slots__ = ("_renewal",)

    _renewal: ThreadRenewal | None

    def __enter__(self) -> Self:
        self._begin()
        self._renewal = None
        run_sync(self._lease.take())
        if self._lease.renewable and self._lease.decision:
            self._renewal = ThreadRenewal(self._lease, self._tell)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lease.inherited:
            return
        if self._renewal is not None:
            self._renewal.stop()
        with self._lease.lock:
            run_sync(self._lease.release())

    def _tell(self) -> None:
        if self._on_lost is not None:
            must_wait(self._on_lost.call(self), self._on_lost.name, sync=True)
