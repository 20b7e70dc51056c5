"""The clock and the pauses of this process, for code that waits.

Code that waits looks these functions up in this module at each call, so
`traffik.testing.VirtualClock.skipping_pauses` can replace them in tests.
"""

from __future__ import annotations

import time
from math import isfinite

from traffik.model.decisions import NEVER
from traffik.model.descriptions import describe

__all__ = ["microseconds", "now", "pause", "sleep", "sleep_sync"]


def now() -> int:
    """µs on the monotonic clock of this process."""
    return time.monotonic_ns() // 1_000


async def sleep(wait: int) -> None:
    """Let `wait` µs pass, under asyncio or trio."""
    import anyio  # here, since only pauses need it

    await anyio.sleep(wait / 1_000_000)


def sleep_sync(wait: int) -> None:
    """Let `wait` µs pass in this thread."""
    time.sleep(wait / 1_000_000)


async def pause(wait: int, sync: bool) -> None:
    """Let `wait` µs pass, in a task or, with `sync`, in a thread."""
    if sync:
        sleep_sync(wait)
    else:
        await sleep(wait)


def microseconds(what: str, seconds: object) -> int:
    """`seconds` in µs.

    Raises:
        TypeError, ValueError: it is not a number, is negative or is not finite. The message names `what`.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{what} is a number of seconds, not {describe(seconds)}")
    if not (isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{what} is a finite number of seconds from 0, not {seconds!r}")
    return min(int(seconds * 1_000_000), NEVER)
