"""How a caller waits for its turn in a file that is busy: sync code sleeps, async code lets its event loop go on.

Somebody else is in for some µs, so the first waits are short; a process that has been stopped in there may stay for
ever, so they get longer, and end at a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar

import lmdb

from traffik.model.errors import BackendError, BackendTimeoutError

__all__ = ["failed_with", "turn", "turn_async"]

_T = TypeVar("_T")

_SHORTEST: Final = 0.000_05
_LONGEST: Final = 0.005
_TURN: Final = 0.000_2


def turn(visit: Callable[[], _T | None], seconds: float) -> _T:
    """What `visit` answers when it is this caller's turn.

    Raises:
        BackendError: the file is damaged, full, or cannot be opened.
        BackendTimeoutError: it was busy for so many seconds.
    """
    deadline = time.monotonic() + seconds
    for pause in _pauses():
        answer = _tried(visit)
        if answer is not None:
            return answer
        time.sleep(min(pause, _left(deadline)))
    raise AssertionError("there is always another pause")


async def turn_async(visit: Callable[[], _T | None], seconds: float) -> _T:
    """`turn` for async code."""
    answer = _tried(visit)
    if answer is not None:
        return answer
    deadline = time.monotonic() + seconds
    sleep = _sleep()
    for pause in _pauses():
        # First only a turn of the loop: a timer of its own waits a thousandth at least.
        await sleep(0 if pause < _TURN else min(pause, _left(deadline)))
        answer = _tried(visit)
        if answer is not None:
            return answer
    raise AssertionError("there is always another pause")


def failed_with(error: Exception) -> BackendError:
    """An error of LMDB's or the system's, or the refusal of a place that has turned bad, as one of ours."""
    return error if isinstance(error, BackendError) else BackendError(f"the file cannot be used: {error}")


def _sleep() -> Callable[[float], Awaitable[object]]:
    """How to sleep in the event loop that runs. Both modules are slow to import, and a file is rarely busy."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import anyio

        return anyio.sleep
    return asyncio.sleep


def _tried(visit: Callable[[], _T | None]) -> _T | None:
    try:
        return visit()
    except (lmdb.Error, OSError) as error:
        raise failed_with(error) from error


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise BackendTimeoutError("the file was busy until the deadline: a process that has been stopped may be in it")
    return left


def _pauses() -> Iterator[float]:
    pause = _SHORTEST
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST)
