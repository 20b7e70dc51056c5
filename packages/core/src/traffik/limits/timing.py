"""The clock and the pauses of this process, for code that waits.

Waiting code looks the functions up here at each call, so that `traffik.testing.VirtualClock.skipping_pauses` can take
their place in tests.
"""

from __future__ import annotations

import time

__all__ = ["now", "sleep", "sleep_sync"]


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
