"""Twenty refused clients, each with another limit, come back a millisecond early and then on time."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from traffik import GCRA, FixedWindow, Limiter, SlidingCounter, SlidingLog, SlidingWindow, Strategy, TokenBucket
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

STRATEGIES: Final[tuple[Strategy, ...]] = (
    SlidingWindow(),
    SlidingLog(),
    FixedWindow(),
    SlidingCounter(),
    TokenBucket(burst=20),
    GCRA(burst=3),
)
RATES: Final = ("10/s", "30/min", "100/min", "500/hour", "1000/day")
CLIENTS: Final = 20


class Return(NamedTuple):
    """Whether a client was admitted 1 ms before its wait was over, and at its end."""

    early: bool
    on_time: bool


def come_back(number: int) -> Return:
    """One client: it hits a limit on a virtual clock until it is refused, and comes back twice."""
    chance, clock = random.Random(number), VirtualClock()
    strategy, rate = STRATEGIES[number % len(STRATEGIES)], RATES[number % len(RATES)]
    limiter = Limiter("waits", rate, strategy=strategy, backend=InMemoryBackend(clock=clock)).sync
    while (decision := limiter.hit("client")) or decision.retry_after <= 1_000:
        clock.advance(microseconds=chance.randint(1, 20_000))
    clock.advance(microseconds=decision.retry_after - 1_000)
    early = limiter.hit("client").allowed
    clock.advance(milliseconds=1)
    return Return(early, limiter.hit("client").allowed)


def come_back_all() -> list[Return]:
    """All clients."""
    return [come_back(number) for number in range(CLIENTS)]


def shown(returns: list[Return]) -> RenderableType:
    """A line for those who come early and one for those on time."""
    lines = []
    for name, admitted in (("1 ms early", [each.early for each in returns]), ("on time", [e.on_time for e in returns])):
        dots = Text()
        for each in admitted:
            dots.append("●" if each else "○", "green" if each else "red")
        lines.append(Text.assemble((f"{name:<12}", "bold"), dots, f"  admitted: {sum(admitted)} of {len(admitted)}"))
    return Group(*lines)


def broken_by(returns: list[Return]) -> list[str]:
    """The returns that a wait did not describe, as sentences."""
    early, late = sum(each.early for each in returns), sum(not each.on_time for each in returns)
    broken = [f"{early} of {len(returns)} were admitted 1 ms early"] * bool(early)
    return broken + [f"{late} of {len(returns)} were refused on time"] * bool(late)
