"""Time that passes when a test says so."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

__all__ = ["VirtualClock"]

_NONE: Final = timedelta()


class VirtualClock:
    """A clock that stands still until it is moved; called, it answers nanoseconds, as a store asks its clock.

    clock = VirtualClock()
    store = InMemoryBackend(clock=clock)
    clock.advance(seconds=60)

    Attributes:
        now: µs; set it to put the clock to any time, an earlier one too.
    """

    def __init__(self, now: int = 1_000_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now * 1_000

    def advance(
        self, span: timedelta = _NONE, *, seconds: float = 0, milliseconds: float = 0, microseconds: float = 0
    ) -> None:
        """Let so much time pass, to the µs; the arguments add up."""
        span += timedelta(seconds=seconds, milliseconds=milliseconds, microseconds=microseconds)
        self.now += span // timedelta(microseconds=1)

    def rewind(
        self, span: timedelta = _NONE, *, seconds: float = 0, milliseconds: float = 0, microseconds: float = 0
    ) -> None:
        """Go back by so much, which no monotonic clock does and others do."""
        self.advance(-span, seconds=-seconds, milliseconds=-milliseconds, microseconds=-microseconds)

    @contextmanager
    def skipping_pauses(self) -> Generator[list[int], None, None]:
        """While the context lasts, `wait` and the pauses of a flood policy move the clock instead of sleeping.

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
