"""Work that has to be completed under cancellation, since its outcome would be unknown otherwise."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["shielded"]

_T = TypeVar("_T")


async def shielded(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end; a cancellation that comes meanwhile is raised afterwards, and the result is dropped.

    Both kinds of cancellation wait: of a scope of anyio or trio, and of a task of asyncio.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return await _in_a_task(asyncio, work)
    from anyio import CancelScope  # here, since only stores that are waited for need it

    with CancelScope(shield=True):
        return await work
    raise AssertionError  # for type checkers: a shielded scope raises what happens in it


async def _in_a_task(asyncio: Any, work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` in another task, and wait for that even if this task is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        from anyio import CancelScope

        with CancelScope(shield=True):  # a scope that has been cancelled does not let its task wait
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # so that asyncio does not log it
        raise
    result: _T = task.result()
    return result
