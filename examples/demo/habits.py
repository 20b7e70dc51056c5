"""How each client behaves, as steps: the same steps are predicted on a virtual clock and then sent over HTTP."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, NamedTuple, TypeAlias

from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

END: Final = 5.5
"""Seconds after which a client starts nothing new."""


class Ask(NamedTuple):
    """Send some requests at once."""

    requests: int = 1


class Pause(NamedTuple):
    """Do nothing for some seconds."""

    seconds: float


class Obey(NamedTuple):
    """Pause as long as the service said, and send one request, which must be admitted."""

    seconds: int


class Seen(NamedTuple):
    """What a client knows after a step: the seconds since its start, and the wait of each refused request."""

    now: float
    waits: list[int]


Step: TypeAlias = Ask | Pause | Obey
Habit: TypeAlias = Generator[Step, Seen, None]


def steady() -> Habit:
    """Four requests a second, which is within the limit."""
    for number in range(int(4 * END)):
        seen = yield Ask()
        yield Pause(max(0, (number + 1) / 4 - seen.now))


def in_bursts() -> Habit:
    """Fifteen requests at once, then wait as told, three times."""
    for _ in range(3):
        seen = yield Ask(15)
        yield Obey(max(seen.waits, default=0))


def deaf() -> Habit:
    """Thirty requests a second regardless of the responses, and obey the wait only at the end."""
    seen, number = (yield Ask()), 0
    while seen.now < END or not seen.waits:
        number += 1
        yield Pause(max(0, number / 30 - seen.now))
        seen = yield Ask()
    yield Obey(seen.waits[0])


def predicted(habit: Habit, rate: str) -> int:
    """How many requests a limit admits to a client with this habit, if each answer comes at once."""
    clock = VirtualClock()
    start = clock.now
    limiter = Limiter("predicted", rate, backend=InMemoryBackend(clock=clock)).sync
    admitted, step = 0, next(habit)
    while True:
        if not isinstance(step, Ask):
            clock.advance(seconds=step.seconds)
        requests = step.requests if isinstance(step, Ask) else int(isinstance(step, Obey))
        decisions = [limiter.hit("client") for _ in range(requests)]
        admitted += sum(decision.allowed for decision in decisions)
        waits = [decision.wait_seconds for decision in decisions if not decision.allowed]
        try:
            step = habit.send(Seen((clock.now - start) / 1_000_000, waits))
        except StopIteration:
            return admitted
