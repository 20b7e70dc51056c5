"""Work that is not to be cut short, since its outcome would not be known."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["shielded"]

_T = TypeVar("_T")


async def shielded(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end; a cancellation that comes meanwhile is raised afterwards, and the result is dropped.

    Both kinds of cancellation wait: of a scope of anyio or trio, and of a task of asyncio.
    """
    from anyio import CancelScope  # here, since only stores that are waited for need it

    found: list[_T] = []
    with CancelScope(shield=True):
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or asyncio._get_running_loop() is None:
            found.append(await work)
        else:
            found.append(await _in_a_task(asyncio, work))
    return found[0]


async def _in_a_task(asyncio: Any, work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` in a task of its own, which is waited for even if this one is cancelled."""
    task = asyncio.ensure_future(work)
    cancellation: BaseException | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is None:
        result: _T = task.result()
        return result
    if not task.cancelled():
        task.exception()  # it has been looked at
    raise cancellation
