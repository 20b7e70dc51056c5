"""A slow and exact model of a replay: the in-memory store, hit by hit, on a clock that follows the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from traffik.backends.inmemory import InMemoryBackend
from traffik.identities.proxies import client_identity
from traffik.model.decisions import NEVER
from traffik.testing import VirtualClock

START = 1_760_054_400_000_000
"""2025-10-10, midnight, in µs since the epoch."""


@dataclass
class Found:
    refused: Counter = field(default_factory=Counter)
    requests: Counter = field(default_factory=Counter)
    by: Counter = field(default_factory=Counter)
    longest: int = 0


def replay(hits, plan, cost=1):
    """Let the store decide `hits`, pairs of a time in µs and an address, in the order of time."""
    clock = VirtualClock()
    store = InMemoryBackend.spare()
    store._clock = clock
    found = Found()
    for now, client in sorted(hits, key=lambda hit: hit[0]):
        clock.now = now
        who = client_identity(client)
        found.requests[who] += 1
        decision = (
            store.prepare("replay", plan, sync=True).charge(who, cost)
            if cost <= plan.ceiling
            else plan.without_store(cost)
        )
        if not decision.allowed:
            found.refused[who] += 1
            found.by[str(decision.rate)] += 1
            if decision.retry_after != NEVER:
                found.longest = max(found.longest, decision.retry_after)
    return found
