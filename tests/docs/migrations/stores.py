"""What a store does, as the rows of docs/migrate/ use it."""

from __future__ import annotations

from typing import Any

from tests.docs.migrations.probes import ALL
from traffik import Limiter
from traffik.backends.inmemory import InMemoryBackend
from traffik.testing import VirtualClock

AWAY = "redis://localhost:1/0"
"""A URL at which nothing answers."""


def admitted(limiter: Limiter, identity: str = "ada") -> int:
    """How many of twelve hits a limiter admits."""
    return sum(bool(limiter.sync.hit(identity)) for _ in range(ALL))


def namespace(store: Any) -> str:
    """The first part of the keys of a store."""
    with store:
        return Limiter("named", "9/min", backend=store).sync.stat("ada").key.partition(":")[0]


def counted(store: Any) -> list[int]:
    """How many of twice twelve hits of one client a store admits."""
    with store:
        store.reset_sync()
        limiter = Limiter("counted", "9/min", backend=store)
        return [admitted(limiter), admitted(limiter)]


def degraded(store: Any) -> str | None:
    """What has decided in place of the store."""
    with store:
        return Limiter("degraded", "9/min", backend=store).sync.hit("ada").degraded


def busiest(strategy: Any) -> int:
    """The most hits of ``5/min`` that a strategy admits within a minute, around the end of a window."""
    clock = VirtualClock()
    with InMemoryBackend(clock=clock) as store:
        limiter = Limiter("busiest", "5/min", strategy=strategy, backend=store)
        limiter.sync.hit("ada")
        clock.advance(seconds=55)
        first = admitted(limiter)
        clock.advance(seconds=6)
        return first + admitted(limiter)
