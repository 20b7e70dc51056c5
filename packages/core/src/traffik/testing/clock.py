"""A clock that a test moves."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

__all__ = ["VirtualClock"]

_NONE: Final = timedelta()


class VirtualClock:
    """A clock that stands still until a test moves it. A call returns nanoseconds, as stores expect of a clock.

    clock = VirtualClock()
    store = InMemoryBackend(clock=clock)
    clock.advance(seconds=60)

    Attributes:
        now: µs; set it to move the clock to any time, also to an earlier one.
    """

    def __init__(self, now: int = 1_000_000_000_000) -> None:
        self.now: int = now

    def __call__(self) -> int:
        return self.now * 1_000

    def advance(
        self, span: timedelta = _NONE, *, seconds: float = 0, milliseconds: float = 0, microseconds: float = 0
    ) -> None:
        """Move the clock forward by the sum of the arguments, to the µs.

        Raises:
            TypeError: the span is not a timedelta, but a number, whose unit is unknown.
        """
        if not isinstance(span, timedelta):
            raise TypeError(f"a span is a timedelta, not {span!r}: for a number write its unit, as in seconds={span!r}")
        span += timedelta(seconds=seconds, milliseconds=milliseconds, microseconds=microseconds)
        self.now += span // timedelta(microseconds=1)

    def rewind(
        self, span: timedelta = _NONE, *, seconds: float = 0, milliseconds: float = 0, microseconds: float = 0
    ) -> None:
        """Move the clock back, as clocks that are not monotonic can do."""
        self.advance(-span, seconds=-seconds, milliseconds=-milliseconds, microseconds=-microseconds)

    @contextmanager
    def skipping_pauses(self) -> Generator[list[int], None, None]:
        """Within the context, `wait` and the pauses of a flood policy only move the clock.

        Yields a list of the pauses, in µs.
        """
        from anyio.lowlevel import checkpoint

        from traffik.limits import timing

        pauses: list[int] = []

        def sleep_sync(wait: int) -> None:
            pauses.append(wait)
            self.advance(microseconds=wait)

        async def sleep(wait: int) -> None:
            await checkpoint()
            sleep_sync(wait)

        before = timing.now, timing.sleep, timing.sleep_sync
        timing.now, timing.sleep, timing.sleep_sync = (lambda: self.now), sleep, sleep_sync
        try:
            yield pauses
        finally:
            timing.now, timing.sleep, timing.sleep_sync = before

    def __repr__(self) -> str:
        return f"<VirtualClock now={self.now} µs>"
