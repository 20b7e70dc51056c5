"""Uploads: limits in bytes that count the body of a request while it is read.

A client chooses its Content-Length, and may send none at all. So the header is only used to refuse early: a body whose
declared size is more than the quota left is refused before anything is read. The bytes that were read are charged, in
steps.

An adapter makes one `Upload` for each request, calls `announce` before the application runs, `count` for each piece of
the body before the application gets it, and `finish` at the end. It reads and sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from traffik.adapters import adapter_of
from traffik.limits import hits
from traffik.model.costs import MAX_COST
from traffik.model.decisions import UNBOUNDED, Decision
from traffik.model.units import BYTES
from traffik.responses.rejections import reject
from traffik.throttles import Throttle
from traffik.throttles.guards import Throttles, each_of

__all__ = ["STEP", "Upload", "check_uploads"]

STEP: Final = 65_536
"""The default step, in bytes."""

_STEPS: Final = 16
"""A step is at most this part of the limit, so that small limits are exceeded by little."""


def check_uploads(throttles: Throttles, step: int) -> tuple[Throttle[Any], ...]:
    """One or several throttles as a tuple, once they and the step are known to be valid. Their rates are in bytes.

    Raises:
        TypeError: a throttle is not an HTTP throttle, there is none, or the step is not an integer.
        ValueError: the step is less than 1 byte, or a rate counts another unit than bytes.
    """
    each = each_of(throttles)
    if not each or any(throttle.websocket for throttle in each):
        raise TypeError(f"uploads are counted by HTTP throttles, such as HTTPThrottle(uid, '64 MiB/min'), not {each}")
    if isinstance(step, bool) or not isinstance(step, int):
        raise TypeError(f"step is an integer, the bytes between two charges, not {step!r}")
    if step < 1:
        raise ValueError(f"step is at least 1 byte, not {step!r}")
    for throttle in each:
        for rate in throttle.known_rates:
            if rate.unit not in {None, BYTES}:
                raise ValueError(f"uploads are counted in bytes, but {throttle.uid!r} counts {rate.noun}: {rate}")
        throttle.count_in(BYTES)
    return each


class Upload:
    """The body of one request, charged to throttles while it is read.

    Args:
        connection: the request.
        throttles: their rates are in bytes; all of them are charged.
        step: bytes after which the next charge is due, at least 1. Uploads at the same time can exceed the limit by at
            most one step each. The step is never more than a sixteenth of the limit.
        response: the class of the framework's responses. If the handler of a throttle that refuses returns one, it is
            kept as `answer`. If it returns anything else, the upload goes on without that throttle.
        sync: whether the caller is sync code, which runs the methods with `traffik.model.coroutines.run_sync`.

    Attributes:
        refusal: the exception that refused the upload; None as long as it is admitted. It is raised again each time
            the application tries to read more.
        answer: the response that the handler of the refusing throttle returned; None if there is none.
    """

    def __init__(
        self,
        connection: Any,
        throttles: Sequence[Throttle[Any]],
        *,
        step: int = STEP,
        response: type | None = None,
        sync: bool = False,
    ) -> None:
        self.refusal: Exception | None = None
        self.answer: Any = None
        self._connection = connection
        self._throttles = tuple(throttles)
        self._response = response
        self._sync = sync
        self._step = step
        self._declared = 0
        self._read = 0
        self._unpaid = 0  # bytes that the application has, and that are not charged yet
        self._allowance = 0  # how many bytes that may be; without a decision none, so the first bytes are charged

    async def announce(self) -> None:
        """Refuse the upload if its Content-Length is more than the quota left. Charges nothing.

        Raises:
            Throttled: the framework's own error, or an exception of the throttle's handler.
        """
        self._declared = _declared(adapter_of(self._connection).headers(self._connection, "content-length"))
        if self._declared:
            await self._follow([await self._decide(each, self._declared, hits.read_only) for each in self._throttles])

    async def count(self, size: int, *, last: bool = False) -> None:
        """Charge `size` bytes that were read, from 0 on, now or with the next step.

        Args:
            size: bytes that the application is about to get.
            last: whether the body ends with them, so that everything is charged now.

        Raises:
            Throttled: the framework's own error, or an exception of the throttle's handler. The application must not
                get these bytes, and nothing more is to be read.
        """
        if self.refusal is not None:
            raise self.refusal
        self._read += size
        cost = self._unpaid + size
        ends = last or 0 < self._declared <= self._read
        if not cost or (cost <= self._allowance and not ends):
            self._unpaid = cost
            return
        decisions = [await self._decide(each, cost) for each in self._throttles]
        for throttle, decision in zip(self._throttles, decisions, strict=True):
            if not decision.allowed:
                await self._settle(throttle)
        self._unpaid = 0
        await self._follow(decisions)

    async def finish(self) -> None:
        """Charge what the application got since the last step, as far as there is quota for it. Refuses nothing."""
        if not self._unpaid:
            return
        if self._sync:
            await self._settle(*self._throttles)
        else:
            from anyio import CancelScope  # here, since sync code has no use for it

            with CancelScope(shield=True):  # a client that goes away cancels the request, but has sent these bytes
                await self._settle(*self._throttles)
        self._unpaid = 0

    async def _settle(self, *throttles: Throttle[Any]) -> None:
        """Charge what the application has and what is not charged yet, as far as there is quota for it."""
        for throttle in throttles if self._unpaid else ():
            decision = await self._decide(throttle, self._unpaid)
            if not decision.allowed and decision.remaining:
                await self._decide(throttle, min(self._unpaid, decision.remaining))

    async def _follow(self, decisions: Sequence[Decision]) -> None:
        """Refuse if one of the decisions does; else note how many bytes may come before the next charge."""
        for throttle, decision in zip(self._throttles, decisions, strict=True):
            if decision.allowed:
                throttle.remember(self._connection, decision)
            else:
                await self._refuse(throttle, decision)
        limit = min((each.limit for each in decisions), default=UNBOUNDED)
        left = min((each.remaining for each in decisions), default=UNBOUNDED)
        self._allowance = min(self._step - 1, limit // _STEPS, left)

    async def _refuse(self, throttle: Throttle[Any], decision: Decision) -> None:
        """Raise the refusal, unless the throttle's handler lets the upload go on."""
        if self._read:  # a client that tries again sends the whole body, so it has to wait until that fits
            whole = await self._decide(throttle, max(self._declared, self._read), hits.read_only)
            decision = decision if whole.allowed else whole
        throttle.remember(self._connection, decision)
        try:
            answer = await hits.refuse(throttle, self._connection, decision, None, self._sync)
            if self._response is not None and isinstance(answer, self._response):
                self.answer = answer
                adapter_of(self._connection).reject(self._connection, reject(decision, throttle.policies(decision)))
        except Exception as error:
            self.refusal = error
            raise
        self._throttles = tuple(each for each in self._throttles if each is not throttle)

    async def _decide(self, throttle: Throttle[Any], cost: int, ask: hits.Ask | None = None) -> Decision:
        return await hits.decide(throttle, self._connection, min(cost, MAX_COST), None, self._sync, ask)


def _declared(lines: Sequence[str]) -> int:
    """The length that the client declares; 0 if it declares none."""
    length = lines[0].strip() if len(lines) == 1 else ""
    return int(length[:20]) if length.isascii() and length.isdigit() else 0
