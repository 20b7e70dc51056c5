"""Waiting for quota: one path for async and sync code, over the path of a hit.

`wait_for_quota` makes the hit of `traffik.limits.hits` with one difference: the call to the store goes through a queue.
The first in the queue asks the store, sleeps for as long as a refusal says, and asks again. The others wait for their
turn without asking.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from traffik.events.records import WAIT
from traffik.limits import hits, queues, timing
from traffik.model.decisions import FORBIDDEN, NEVER, UNAVAILABLE, Decision
from traffik.model.errors import ConfigurationError, TraffikError

if TYPE_CHECKING:
    from traffik.backends.base import Calls
    from traffik.limits.hits import AskCall
    from traffik.limits.limit import Limit
    from traffik.model.callables import Context

__all__ = ["NeverAdmittedError", "WaitTimeoutError", "wait_for_quota", "wait_for_slot"]

_AWAY: Final = frozenset({UNAVAILABLE, "fallback", "on_error"})
"""Decisions that the store has not made. They say little about when it will admit, so it is asked again in between."""

_LONGEST_SLOT_PAUSE: Final = 1_000_000
"""The longest pause, in µs, before the first who waits for a slot asks a store that other processes share again."""

_SHORTEST_PAUSE: Final = 100_000
_LONGEST_PAUSE: Final = 5_000_000
"""The pauses, in µs, after a decision that the store has not made."""


class _NotAdmitted(TraffikError):
    """A wait that ends without quota. It has consumed nothing.

    Attributes:
        decision: the refusal, for `Throttle.refuse` or a log.
    """

    def __init__(self, message: str, decision: Decision) -> None:
        super().__init__(message)
        self.decision = decision

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.decision)


class WaitTimeoutError(_NotAdmitted, TimeoutError):
    """The quota does not come back within the timeout of a `wait`. Its `decision` says how long the wait is."""


class NeverAdmittedError(_NotAdmitted, ValueError):
    """No waiting helps: the cost is above the capacity, or the client is denied. Its `decision` says which."""


async def wait_for_quota(
    limit: Limit,
    subject: Any,
    cost: int | None,
    context: Context | None,
    sync: bool,
    timeout: float | None,
    jitter: float | None,
) -> Decision:
    """Wait until `subject` is admitted with `cost`, and take it; the arguments are those of `Limiter.wait`."""
    return await _wait(_Turn(limit, subject, sync, timeout, jitter), limit, subject, cost, context, sync)


async def wait_for_slot(
    limit: Limit,
    subject: Any,
    cost: int | None,
    context: Context | None,
    sync: bool,
    timeout: float | None,
    take: AskCall,
) -> Decision:
    """Wait until `take` admits `subject` with `cost`. Units that are given back in this process end a pause early."""
    turn = _SlotTurn(limit, subject, sync, timeout, None)
    turn.take = take
    return await _wait(turn, limit, subject, cost, context, sync)


async def _wait(
    turn: _Turn, limit: Limit, subject: Any, cost: int | None, context: Context | None, sync: bool
) -> Decision:
    usual = cost is None and context is None
    try:
        decision = await hits.decide(limit, subject, cost, context, sync, hits.Ask(turn.ask, WAIT))
    except WaitTimeoutError as error:
        limit.remember(subject, error.decision, usual)
        raise
    limit.remember(subject, decision, usual)
    if not decision.allowed:
        raise NeverAdmittedError(_reason(limit, decision), decision)
    return decision


class _Turn:
    """One call of `wait`: a place in a queue, until the store admits it or its time is up."""

    __slots__ = ("_jitter", "_limit", "_subject", "_sync", "_timeout", "_waiter", "take")

    take: AskCall
    """Asks the store."""

    def __init__(self, limit: Limit, subject: Any, sync: bool, timeout: float | None, jitter: float | None) -> None:
        if sync and queues.call_soon() is not None:
            raise ConfigurationError(
                f"sync.wait of {limit.uid!r} would block the event loop of this thread: await wait itself, or call "
                f"sync.wait in another thread"
            )
        self._limit = limit
        self._subject = subject
        self._sync = sync
        self._timeout = timeout
        self._jitter = 0 if jitter is None else timing.microseconds("a jitter", jitter)
        deadline = None if timeout is None else timing.now() + timing.microseconds("a timeout", timeout)
        self._waiter: queues.Waiter = queues.ThreadWaiter(deadline) if sync else queues.TaskWaiter(deadline)
        self.take = _charge

    async def ask(self, calls: Calls, key: str, cost: int) -> Decision:
        """The decision that admits `cost`, or one that says that it never will be."""
        try:
            decision = await self._ask(calls, key, cost)
        except WaitTimeoutError as error:
            self._limit.note(error.decision, key, cost, WAIT)
            raise
        self._limit.note(decision, key, cost, WAIT)
        return decision

    async def _ask(self, calls: Calls, key: str, cost: int) -> Decision:
        waiter = self._waiter
        place = (self._limit.store(self._subject), self._limit.uid, key)
        try:
            queue = queues.enqueue(place, waiter)
            while queue.first is not waiter:
                left = self._left()
                if left is not None and (left == 0 or queue.due > timing.now() + left):
                    raise self._timed_out(queue.refusal, max(0, queue.due - timing.now()))
                await waiter.rest(left)
            self._come_first()
            while True:
                answer = self.take(calls, key, cost)
                decision = answer if isinstance(answer, Decision) else await answer
                if decision.allowed or decision.never:
                    return decision
                await self._rest(decision, queue, calls)
        finally:
            try:
                queues.leave(place, waiter)
            except BaseException:  # a signal handler has raised an error before this was complete
                queues.leave(place, waiter)
                queues.wake(place)
                raise

    def _come_first(self) -> None:
        """Called when it is its turn to ask the store."""

    async def _rest(self, decision: Decision, queue: queues.WaitQueue, calls: Calls) -> None:
        """Pause after a refusal, for as long as it says."""
        pause = self._pause(decision)
        queue.announce(decision, timing.now() + pause)
        await timing.pause(self._jittered(pause), self._sync)

    def _pause(self, decision: Decision) -> int:
        """The pause after a refusal, in µs.

        Raises:
            WaitTimeoutError: it is longer than the time that is left.
        """
        wait = decision.retry_after
        pause = max(_SHORTEST_PAUSE, min(wait, _LONGEST_PAUSE)) if decision.degraded in _AWAY else wait
        if pause <= 0:
            pause = _SHORTEST_PAUSE  # a strategy that does not know the wait
        left = self._left()
        if left is not None and pause > left:
            raise self._timed_out(decision, wait)
        return pause

    def _jittered(self, pause: int) -> int:
        """`pause`, and a random part of the jitter, but no more than the time that is left."""
        if not self._jitter:
            return pause
        from random import randint  # here, since only a jitter needs it

        longer = pause + randint(0, self._jitter)  # noqa: S311 - no secret
        left = self._left()
        return longer if left is None else max(pause, min(longer, left))

    def _left(self) -> int | None:
        """µs until the timeout; None without one."""
        deadline = self._waiter.deadline
        return None if deadline is None else max(0, min(deadline - timing.now(), NEVER))

    def _timed_out(self, refusal: Decision | None, wait: int) -> WaitTimeoutError:
        if refusal is None or wait <= 0:
            decision = Decision(False, 0, 0, retry_after=1)
            reason = "others wait before it"
        else:
            decision = refusal._replace(retry_after=wait)
            reason = f"the wait is {wait / 1_000_000:g} s"
        return WaitTimeoutError(f"{self._limit.uid!r} admits nothing within {self._timeout:g} s: {reason}", decision)


class _SlotTurn(_Turn):
    """A wait for a slot. A refusal says when the oldest lease ends, and the work may end before."""

    __slots__ = ()

    def _come_first(self) -> None:
        self._waiter.prepare()

    async def _rest(self, decision: Decision, queue: queues.WaitQueue, calls: Calls) -> None:
        left = self._left()
        if left == 0:
            raise self._timed_out(decision, decision.retry_after)
        wait = decision.retry_after
        pause = max(_SHORTEST_PAUSE, wait) if wait <= 0 or decision.degraded in _AWAY else wait
        if not calls.account.store.in_process:
            pause = min(pause, _LONGEST_SLOT_PAUSE)  # other processes do not say that a slot is free
        await self._waiter.rest(pause if left is None else min(pause, left))


def _charge(calls: Calls, key: str, cost: int) -> Decision | Awaitable[Decision]:
    return calls.charge(key, cost)


def _reason(limit: Limit, decision: Decision) -> str:
    if decision.degraded == FORBIDDEN:
        return f"{limit.uid!r} denies this {limit.subject}"
    if not decision.limit:
        return f"{limit.uid!r} admits nothing at all"
    return f"{limit.uid!r} can never admit this cost: the largest it admits is {decision.limit}"
