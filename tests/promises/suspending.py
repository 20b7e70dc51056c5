"""A store that suspends, and callers that are cancelled at a chosen suspension."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel

from traffik.backends.inmemory import InMemoryBackend


class SuspendingStore(InMemoryBackend):
    """A store in memory whose calls suspend before they count and before they return."""

    in_process = False

    def take(self, takes, kind, *, sync, back=()):
        return self._slowly(lambda: InMemoryBackend.take(self, takes, kind, sync=True, back=back))

    def post(self, postings, *, sync):
        return self._slowly(lambda: InMemoryBackend.post(self, postings, sync=True))

    async def _slowly(self, work):
        await anyio.lowlevel.checkpoint()
        answer = work()
        await anyio.lowlevel.checkpoint()
        return answer


class CancelledAt:
    """Awaits a coroutine, and raises `CancelledError` in it at its suspension of this number, counted from 0.

    Attributes:
        reached: whether the coroutine has reached that suspension.
    """

    def __init__(self, coroutine, number):
        self._coroutine = coroutine
        self._number = number
        self.reached = False

    def __await__(self):
        steps, number = self._coroutine.__await__(), 0
        move, value = steps.send, None
        while True:
            try:
                waiting = move(value)
            except StopIteration as end:
                return end.value
            if number == self._number:
                self.reached = True
                move, value = steps.throw, asyncio.CancelledError()
            else:
                move, value = steps.send, (yield waiting)
            number += 1


async def cancelled_at(coroutine, number):
    """Run the coroutine and cancel it at its suspension of this number; whether it reached that suspension."""
    waiting = CancelledAt(coroutine, number)
    try:
        await waiting
    except asyncio.CancelledError:
        assert waiting.reached
    return waiting.reached
